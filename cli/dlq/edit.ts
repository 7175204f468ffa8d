import { readFileSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import { defineCommand } from 'citty';
import { z } from 'zod';
import { editLetter } from '../../client/dead-letters.ts';
import { pipelines } from '../../client/pipelines.ts';
import { BadInput } from '../../core/bad-input.ts';
import { notComputedAnew } from '../../core/dead-letters/edit-content.ts';
import type { TextRow } from '../../core/segment-builder.ts';
import { dataArg, instanceConfig } from '../instance.ts';
import { letterId } from './choice.ts';
import { letterText } from './show.ts';

export default defineCommand({
  meta: { name: 'edit', description: 'Change values of the row that a replay will send' },
  args: {
    number: { type: 'positional', description: 'See ./sluice dlq list', required: true },
    set: { type: 'string', valueHint: 'COLUMN=VALUE', description: 'A value as Postgres writes it; may be given several times' },
    null: { type: 'string', valueHint: 'COLUMN', description: 'NULL; may be given several times' },
    json: { type: 'string', valueHint: 'FILE', description: 'An object of columns with texts or null; - reads it from standard input' },
    ...dataArg,
  },
  async run({ args, rawArgs }) {
    const id = letterId(args.number);
    const changes = { ...(args.json === undefined ? {} : await fromJson(args.json)), ...Object.fromEntries(given(rawArgs, 'set').map(assignment)), ...Object.fromEntries(given(rawArgs, 'null').map((column) => [column, null])) };
    if (Object.keys(changes).length === 0) throw new BadInput(`Nothing to change. For example: ./sluice dlq edit ${args.number} --set device=ios`);
    const letter = await editLetter(instanceConfig(args), id, changes);
    console.log(letterText(letter));
    const pipeline = pipelines[letter.pipeline];
    const left = pipeline ? notComputedAnew(pipeline, letter, Object.keys(changes)) : [];
    if (left.length > 0) console.log(`Computed and enriched columns were not computed anew: set them too if they should change (${left.join(', ')}).`);
  },
});

/** citty keeps the last of an option's values only. */
function given(rawArgs: readonly string[], option: string): string[] {
  return rawArgs.flatMap((each, at) => {
    if (each === `--${option}`) return [rawArgs[at + 1] ?? ''];
    return each.startsWith(`--${option}=`) ? [each.slice(option.length + 3)] : [];
  });
}

function assignment(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new BadInput(`--set ${text} is not COLUMN=VALUE. For example: --set device=ios; an empty text is --set device=, and NULL is --null device.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

const Changes = z.record(z.string(), z.string().nullable());

async function fromJson(file: string): Promise<TextRow> {
  const json = file === '-' ? await readAll(process.stdin) : readFileSync(file, 'utf8');
  const result = Changes.safeParse(parsed(json, file));
  if (result.success) return result.data;
  throw new BadInput(`${file} is not an object of columns with texts or null, as Postgres writes them: {"duration_ms":"1500","device":null}`);
}

function parsed(json: string, file: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new BadInput(`${file} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}
