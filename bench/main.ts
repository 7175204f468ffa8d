import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { BadInput } from '../core/bad-input.ts';
import { checkout } from '../infra/supervisor/checkout.ts';
import type { CaseResult } from './case.ts';
import { cases } from './cases/index.ts';
import { medianName } from './cases/plain.ts';
import { flameFile, merged, performancePage } from './document.ts';
import { flameSvg, selfTimesText } from './flame.ts';
import { type Options, parseBenchOptions } from './options.ts';
import { isWhole, makeRun, type Run, runText } from './report.ts';
import { runCase } from './run-case.ts';

/** `./sluice bench`: one case after another, each on instances of its own, which are removed. */
const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stopped.abort(new Error('Stopped before the end; what was started is stopped and removed.')));
}

try {
  await main();
} catch (error) {
  const reason: unknown = stopped.signal.aborted ? stopped.signal.reason : error;
  console.error(process.env['SLUICE_LOG_LEVEL'] === 'debug' || !(reason instanceof Error) ? reason : reason.message);
  process.exitCode = reason instanceof BadInput ? 2 : 1;
}
process.exit();

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const options = parseBenchOptions(args, cases);
  if (options.document.length > 0) return writeDocument(merged(options.document.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Run)));
  warnIfBusy();
  const run = await measure(options, ['./sluice bench', ...args].join(' '));
  // what a part of the cases says would be taken for all
  if (options.full && options.cases.length === cases.length) writeDocument(run);
  console.log(options.json ? JSON.stringify(run, undefined, 2) : runText(run));
  if (!isWhole(run)) process.exitCode = 1;
}

/** What was measured so far is on disk after each case: all of it is long. */
async function measure(options: Options, command: string): Promise<Run> {
  const folder = join(checkout, '.sluice', 'bench');
  mkdirSync(folder, { recursive: true });
  const startedAt = new Date();
  const results: CaseResult[] = [];
  const soFar = () => makeRun({ at: startedAt.toISOString(), commit: commitOf(), machine: machineOf(), command, seconds: (Date.now() - startedAt.getTime()) / 1000, cases: results });
  const profile = options.profile ?? (options.full ? join(folder, 'worker.cpuprofile') : undefined);
  for (const each of options.cases) {
    const reached = results.find(({ name }) => name === 'plain')?.lines.find(({ name }) => name === medianName)?.rate ?? undefined;
    const { portBase, rows, rounds, full } = options;
    const result = await runCase(each, { portBase, rows, rounds, full, profile, reached, stopped: stopped.signal, say: (line) => console.error(line) });
    if (result.profile) console.error(selfTimesText(result.profile.times));
    results.push(result);
    writeFileSync(join(folder, 'last.json'), JSON.stringify(soFar(), undefined, 2));
  }
  return soFar();
}

function writeDocument(run: Run): void {
  const folder = join(checkout, 'docs');
  writeFileSync(join(folder, 'performance.md'), performancePage(run));
  const profile = run.cases.find((each) => each.profile !== null)?.profile;
  if (profile) writeFileSync(join(folder, flameFile), flameSvg(profile.flame));
  console.error(`${join(folder, 'performance.md')} is written`);
}

function commitOf(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: checkout, encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

function machineOf(): string {
  const model = cpus()[0]?.model.replaceAll(/\(R\)|\(TM\)| CPU/g, '').trim();
  return `${availableParallelism()} cores (${model}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
}

function warnIfBusy(): void {
  const [load] = loadavg();
  if (load! > 0.5 * availableParallelism()) console.error(`This machine is busy (load ${load!.toFixed(1)} on ${availableParallelism()} processors): rates will be too low; CPU seconds and the ratio are steadier.`);
}
