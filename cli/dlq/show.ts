import { defineCommand } from 'citty';
import { readLetter, type LetterWithContent } from '../../client/dead-letters.ts';
import { pipelines } from '../../client/pipelines.ts';
import type { TextRow } from '../../core/segment-builder.ts';
import { dataArg, instanceConfig } from '../instance.ts';
import { letterId } from './choice.ts';

export default defineCommand({
  meta: { name: 'show', description: 'One letter: why it was refused, and its row' },
  args: { number: { type: 'positional', description: 'See ./sluice dlq list', required: true }, json: { type: 'boolean', description: 'As JSON' }, ...dataArg },
  async run({ args }) {
    const id = letterId(args.number);
    const letter = await readLetter(instanceConfig(args), id);
    console.log(args.json ? JSON.stringify(letter, undefined, 2) : letterText(letter));
  },
});

/** What a replay would send, and beside it what was edited. */
export function letterText(letter: LetterWithContent): string {
  const { id, pipeline, lane, op, key, position, state, reason, committedAt, foundAt, settledAt, content, edited } = letter;
  const images = (['before', 'after'] as const).flatMap((image) => (content[image] ? ['', image === 'before' ? 'old row' : 'new row', ...rowLines(inOrder(pipeline, content[image]), edited?.[image])] : []));
  return [
    `letter ${id} of ${pipeline}, lane ${lane}: ${state}${settledAt === null ? '' : ` at ${settledAt}`}`,
    `${op} of the key ${key} at ${position}, committed ${committedAt}, refused ${foundAt}`,
    `reason: ${reason}`,
    ...images,
    ...(state === 'waiting' ? ['', `./sluice dlq edit ${id} --set COLUMN=VALUE, ./sluice dlq replay ${id}, ./sluice dlq drop ${id}`] : []),
  ].join('\n');
}

/** The database keeps the columns of a row in an order of its own. */
function inOrder(pipeline: string, row: TextRow): TextRow {
  const columns = Object.keys(pipelines[pipeline]?.row ?? row);
  return Object.fromEntries(columns.flatMap((name) => (name in row ? [[name, row[name]!] as const] : [])));
}

function rowLines(row: TextRow, edited: TextRow | undefined): string[] {
  const width = Math.max(...Object.keys(row).map((name) => name.length));
  return Object.entries(row).map(([name, value]) => {
    const now = edited?.[name];
    return `  ${name.padEnd(width)}  ${valueText(value)}${edited === undefined || now === value ? '' : `  ->  ${valueText(now ?? null)}`}`;
  });
}

/** Plainly, JSON too; in quotes only what would be taken for something else. Exported for its test. */
export function valueText(value: string | null): string {
  if (value === null) return 'NULL';
  const line = /^[[{]/.test(value) ? value.replace(/\s*\n\s*/g, ' ') : value;
  return line === '' || line === 'NULL' || line !== line.trim() || /\p{Cc}/u.test(line) ? JSON.stringify(value) : line;
}
