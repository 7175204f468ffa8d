import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { defineCommand } from 'citty';
import { pipelines } from '../client/pipelines.ts';
import { BadInput } from '../core/bad-input.ts';
import { nameProblems } from '../core/define/invalid-pipeline.ts';
import { definitionText, type Choice } from '../core/init/definition-text.ts';
import { listedIn, listingLines } from '../core/init/listed.ts';
import { keyQuestion, sinksQuestion, tableQuestion, timeQuestion } from '../core/init/questions.ts';
import { relationOf, type SourceFacts } from '../core/init/source-facts.ts';
import { indexAdvice, sourceNeeds, type Need } from '../core/init/source-needs.ts';
import { withoutPassword } from '../core/init/source-address.ts';
import { checkout } from '../infra/supervisor/checkout.ts';
import { answer, confirm } from './ask.ts';

export default defineCommand({
  meta: { name: 'init', description: 'Look at your own database, and write a first pipeline for one of its tables: init NAME --source URL. What is not said is asked' },
  args: {
    name: { type: 'positional', description: 'The new pipeline: lower case', required: false },
    source: { type: 'string', valueHint: 'URL', description: 'postgres://user:password@host:5432/database (or SLUICE_SOURCE_URL); it is only looked at' },
    table: { type: 'string', valueHint: 'SCHEMA.TABLE', description: 'Whose changes are the events' },
    'event-time': { type: 'string', valueHint: 'COLUMN', description: 'When a row happened: windows are made of it' },
    key: { type: 'string', valueHint: 'COLUMN', description: 'Unique alone (the primary key)' },
    'append-only': { type: 'boolean', description: 'Rows are never updated or deleted: no REPLICA IDENTITY FULL needed' },
    sinks: { type: 'string', valueHint: 'a,b', description: 'clickhouse, redis, results' },
    out: { type: 'string', valueHint: 'FILE', description: 'Where to write it (pipelines/NAME.ts)' },
    yes: { type: 'boolean', description: 'Take the first suggestion for what is not said. A file that there is stays' },
    json: { type: 'boolean', description: 'What was written, and what the source needs, as JSON' },
  },
  async run({ args }) {
    const name = newName(args.name);
    const source = args.source ?? (process.env['SLUICE_SOURCE_URL'] || undefined);
    if (source === undefined) throw new BadInput(`Which database? ./sluice init ${name} --source postgres://user:password@host:5432/database (or set SLUICE_SOURCE_URL)`);
    const shown = withoutPassword(source);
    const listedFile = join(checkout, 'pipelines', `${name}.ts`);
    const file = args.out === undefined ? listedFile : resolve(args.out);
    const yes = args.yes ?? false;
    if (existsSync(file) && !yes) throw new BadInput(isThere(file));

    const facts = await factsOf(source, shown, name);
    const table = await answer(tableQuestion(facts, args.table), { yes });
    const eventTime = await answer(timeQuestion(table, facts, args['event-time']), { yes });
    const key = await answer(keyQuestion(table, facts, args.key), { yes });
    const sinks = await answer(sinksQuestion({ table, eventTime, key }, facts, args.sinks), { yes });
    const choice: Choice = { name, table, eventTime, key, sinks, appendOnly: args['append-only'] ?? false };
    await write(file, definitionText(choice, facts, importPath(file)));

    const listed = file === listedFile && (await list(name, yes));
    const advice = indexAdvice(table, eventTime.name);
    const report = {
      file,
      table: relationOf(table),
      key: key.name,
      eventTime: eventTime.name,
      sinks,
      listed,
      needs: sourceNeeds(facts, table, choice.appendOnly),
      advice: advice ? [advice] : [],
      next: process.env['SLUICE_SOURCE_URL'] === source ? './sluice up' : `SLUICE_SOURCE_URL='${shown}' ./sluice up`,
    };
    console.log(args.json ? JSON.stringify(report, undefined, 2) : reportText(report, name, strangers(facts)));
  },
});

type Report = { readonly file: string; readonly table: string; readonly key: string; readonly eventTime: string; readonly listed: boolean; readonly needs: readonly Need[]; readonly advice: readonly Need[]; readonly next: string };

function newName(given: string | undefined): string {
  if (given === undefined) throw new BadInput('What shall the pipeline be called? For example: ./sluice init orders --source postgres://user:password@host:5432/database');
  const [problem] = given === 'index' ? ['pipeline "index": pipelines/index.ts is the list of all'] : nameProblems('pipeline', [given]);
  if (problem !== undefined) throw new BadInput(`${problem}. For example: ./sluice init orders`);
  return given;
}

/** By a program of its own, for a command reaches no connector. The address goes by its environment. */
async function factsOf(source: string, shown: string, name: string): Promise<SourceFacts> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', join(checkout, 'init/main.ts'), name], {
      env: { ...process.env, SLUICE_SOURCE_URL: source },
      maxBuffer: 1 << 28,
    });
    return JSON.parse(stdout) as SourceFacts;
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string };
    throw new Error(`${shown} cannot be looked at: ${(stderr.trim() || message).replace(/\.$/, '')}. Correct --source or SLUICE_SOURCE_URL, and type the same again.`, { cause: error });
  }
}

/** What somebody has made of a file stays; one that is as it would be written is no obstacle to typing the same again. */
async function write(file: string, text: string): Promise<void> {
  await writeFile(file, text, { flag: 'wx' }).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    if ((await readFile(file, 'utf8')) !== text) throw new BadInput(isThere(file));
  });
  // definePipeline checks it there; a pipeline that cannot run must not be found out by `up`
  await import(`${pathToFileURL(file).href}?written=${Date.now()}`);
}

function isThere(file: string): string {
  return `${file} is there already, and was left as it is. Delete it, or choose another name, or write elsewhere with --out FILE.`;
}

function importPath(file: string): string {
  const path = relative(dirname(file), join(checkout, 'core/define-pipeline.ts'));
  return path.startsWith('.') ? path : `./${path}`;
}

/** Whether pipelines/index.ts knows it now. */
async function list(name: string, yes: boolean): Promise<boolean> {
  const index = join(checkout, 'pipelines/index.ts');
  const before = await readFile(index, 'utf8');
  const after = listedIn(before, name);
  if (after === undefined) return false;
  if (after === before) return true;
  if (!yes && !(process.stdin.isTTY && process.stderr.isTTY && (await confirm('Add it to pipelines/index.ts, so that it runs?')))) return false;
  await writeFile(index, after);
  return true;
}

/** Pipelines of which this database lacks a table: they would park there. */
function strangers({ tables }: SourceFacts): string[] {
  const relations = new Set(tables.map(relationOf));
  return Object.entries(pipelines).flatMap(([name, { source: { events, dimensions } }]) => ([events, ...Object.values(dimensions)].every(({ relation }) => relations.has(relation)) ? [] : [name]));
}

function reportText({ file, table, key, eventTime, listed, needs, advice, next }: Report, name: string, others: readonly string[]): string {
  const typed = (each: Need) => [`  -- ${each.why}`, `  ${each.sql}`];
  return [
    `Wrote ${relative(process.cwd(), file) || file}: ${table}, key ${key}, event time ${eventTime}.`,
    needs.length === 0 ? 'The source needs nothing more.' : 'The source needs, typed by whoever may:',
    ...needs.flatMap(typed),
    ...(advice.length > 0 ? ['And would be better with:', ...advice.flatMap(typed)] : []),
    ...(listed ? [] : ['Then let pipelines/index.ts list it, or it does not run:', ...listingLines(name).map((line, index) => `  ${index === 0 ? line : `and ${line} in pipelines`}`)]),
    ...(others.length > 0 ? [`The tables of ${others.join(' and ')} are not in this database: take them out of pipelines/index.ts, or they park.`] : []),
    `Next: ${next}`,
  ].join('\n');
}
