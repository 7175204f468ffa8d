import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkout } from '../infra/supervisor/checkout.ts';
import { faults } from './faults/index.ts';
import { guaranteesPage, type FullRun } from './guarantees.ts';
import type { ChaosReport } from './report.ts';

/**
 * `./sluice test --full`: every fault by name, a run for each family, and docs/guarantees.md out of what they said. A run
 * that a fault ended goes on with the next one on a fresh instance. `--only worker,redis/flushall`: names or families, of
 * which the page says that they were repeated after the last full run here, if there was one.
 */
const { values } = parseArgs({ options: { only: { type: 'string' }, 'port-base': { type: 'string', default: '7700' } } });
const only = values.only?.split(',');
const chosen = faults.filter(({ name }) => !only || only.some((wanted) => name === wanted || name.startsWith(`${wanted}/`)));
if (chosen.length === 0) {
  console.error(`No fault is called ${values.only}. See all of them with: ./sluice chaos --list`);
  process.exit(2);
}

/** Rows of every type need a pipeline that has them. */
const ofLaboratory = new Set(['data/values']);

/** The end of its family: after it, each comparison is of five million rows more. */
const last = 'data/huge-transaction';

/** First, and again among all: of what trending has, most is results tables, which is what these can hurt. */
const ofTrending = ['data/truncate', 'worker/kill-in-window-close', 'worker/kill-in-relay', 'state/deadlock', 'state/serialization-failure', 'state/half-accepting'];

const file = join(checkout, '.sluice', 'test', 'laboratory.json');
const before = only && existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as FullRun) : undefined;
const reports: ChaosReport[] = [];
let seed = 1;
const families = Map.groupBy(
  chosen.map(({ name }) => name).toSorted((one, other) => Number(one === last) - Number(other === last)),
  (name) => (ofLaboratory.has(name) ? 'laboratory' : name.split('/')[0]!),
);
for (const [place, names] of [...(only ? [] : [['trending', ofTrending] as const]), ...families]) {
  const pipeline = place === 'laboratory' || place === 'trending' ? place : 'engagement';
  for (let left: readonly string[] = names; left.length > 0; ) {
    const report = await run(pipeline, left, seed++);
    if (!report) break;
    reports.push(report);
    write();
    // a failed fault ends its run
    left = left.slice(Math.max(1, report.faults.length));
  }
}

const failed = reports.flatMap((report) => [...report.faults.filter(({ ok }) => !ok).map(({ name, error }) => `${name}: ${error}`), ...(report.equal && report.error === null ? [] : [`run ${report.repeat}: ${report.error ?? 'not equal'}`])]);
const done = new Set(reports.flatMap((report) => report.faults.map(({ name }) => name))).size;
console.log(`${done} of ${chosen.length} faults done, ${failed.length} failed; docs/guarantees.md is written`);
for (const each of failed) console.log(`FAILED ${each}`);
process.exit(failed.length === 0 && done === chosen.length ? 0 : 1);

/** After each run: an hour is long, and what was seen is seen. */
function write(): void {
  mkdirSync(dirname(file), { recursive: true });
  const now = { date: new Date().toISOString().slice(0, 10), commit: commitOf(), machine: `${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`, reports };
  const full: FullRun = before ? { ...before, repeated: [...(before.repeated ?? []), now] } : now;
  writeFileSync(file, JSON.stringify(full, undefined, 2));
  writeFileSync(join(checkout, 'docs', 'guarantees.md'), guaranteesPage(faults, full));
}

/** Undefined: it did not get as far as a report. */
async function run(pipeline: string, names: readonly string[], runSeed: number): Promise<ChaosReport | undefined> {
  const flags = ['--json', '--seed', String(runSeed), '--pipeline', pipeline, '--port-base', values['port-base'], ...names.flatMap((name) => ['--fault', name])];
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'main.ts'), ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => {
    child.once('close', resolve);
  });
  const text = Buffer.concat(chunks).toString('utf8');
  try {
    return JSON.parse(text) as ChaosReport;
  } catch {
    console.error(`The run of ${names.join(', ')} ended without a report: ${text}`);
    return undefined;
  }
}

function commitOf(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: checkout, encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}
