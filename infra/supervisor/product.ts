import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Config, toEnvironment } from '../../core/config.ts';
import type { Command } from '../embedded/service.ts';
import { checkout, typed } from './checkout.ts';
import { endpoints } from './endpoints.ts';
import { overload } from './machine-load.ts';
import { type PipelineStatus, pipelinesClient } from './pipelines.ts';
import { loadProcess, type ProductProcess, productProcesses } from './processes.ts';
import { seconds, type Start } from './services.ts';
import { sickSentence } from './sick-pipelines.ts';
import { together } from './together.ts';
import { NotHealthy, startMs, waitUntil } from './wait.ts';

const run = promisify(execFile);

/** A rate at which one sees things move on the dashboard. */
const gentleRate = 20;

/** Beside the services. Nothing depends on it. */
export async function prepareProcesses({ plan, signal }: Start, processes: readonly ProductProcess[] = productProcesses): Promise<void> {
  const runs = processes.filter(({ prepares }) => prepares).map((process) => commandOf({ ...process, args: ['prepare'] }, plan.config));
  await Promise.allSettled(runs.map(({ program, args, cwd, environment }) => run(program, [...args], { cwd, env: environment, signal, timeout: startMs })));
}

export async function startProcesses(start: Start, processes: readonly ProductProcess[] = productProcesses): Promise<void> {
  await together(start.signal, processes, (process, signal) => startProcess({ ...start, signal }, process));
}

/**
 * Starts the pipelines' workflows that do not run, and waits until the pipelines do, or are paused on purpose. Returns
 * what to do about those that do not run in time; throws when the worker does not stay up.
 */
export async function startPipelines({ plan, roster, report, signal }: Start): Promise<string | undefined> {
  const client = await pipelinesClient();
  const startedAt = performance.now();
  let ensured = false;
  let refused: unknown;
  const ensure = () =>
    client.ensurePipelines(plan.config).catch((error: Error) => {
      if (error.name !== 'TemporalUnreachable') refused = error;
      throw error;
    });
  let paused: readonly PipelineStatus[] = [];
  let sick: readonly PipelineStatus[] = [];
  const settled = async () => {
    if (!ensured) await ensure();
    ensured = true;
    const statuses = await client.pipelineStatuses(plan.config);
    paused = statuses.filter(({ state }) => state === 'paused');
    sick = statuses.filter(({ state }) => state !== 'running' && state !== 'paused');
    if (sick.length > 0) throw new Error(sick.map(({ name, state }) => `${name} is ${state}`).join(', '));
  };
  const worker = roster.child('worker');
  const workerFails = () => worker.deaths >= 5;
  const hopeless = () => workerFails() || refused !== undefined || sick.some(({ state }) => state === 'parked');
  try {
    await waitUntil(settled, { what: 'pipelines', timeoutMs: startMs, everyMs: 200, report, waitsFor: 'do not all run yet', signal, hopeless, logFile: worker.logFile });
  } catch (error) {
    if (refused !== undefined) throw refused;
    if (!(error instanceof NotHealthy) || workerFails() || sick.length === 0) throw error;
    return sickSentence(sick, overload(), (command) => typed(command, plan.config.dataDir));
  }
  report(`${'pipelines'.padEnd(12)} healthy after ${seconds(startedAt)} s`);
  for (const { name } of paused) report(`${name.padEnd(12)} was paused and stays so. Go on with: ${typed(`resume ${name}`, plan.config.dataDir)}`);
  return undefined;
}

/** Without a rate given, load is generated on our own tables only, never on a user's database. */
export async function startLoad(start: Start, rate: number | undefined): Promise<void> {
  const wanted = rate ?? (start.plan.own.includes('source') ? 0 : gentleRate);
  if (wanted > 0) await startProcess(start, loadProcess(wanted));
}

/** Resolves when it answers under its endpoint, if it has one. */
export async function startProcess(start: Start, process: ProductProcess): Promise<void> {
  const { plan, roster, report, signal } = start;
  const startedAt = performance.now();
  const name = process.name.padEnd(12);
  const stop = [{ signal: 'SIGTERM' as const, waitMs: process.stopMs }];
  const child = roster.add(process.name, stop, async () => commandOf(process, plan.config));
  await child.start();
  const endpoint = process.endpoint && endpoints[process.endpoint];
  const url = endpoint?.url(plan.config);
  if (!endpoint || !url) return report(`${name} started`);
  const hopeless = () => child.deaths >= 5;
  const logFile = child.logFile;
  await waitUntil(() => endpoint.check(url), { what: process.name, timeoutMs: startMs, report, signal, hopeless, logFile });
  report(`${name} healthy after ${seconds(startedAt)} s   ${url}`);
}

function commandOf({ entry, args = [], imports = [] }: ProductProcess, config: Config): Command {
  return {
    program: process.execPath,
    cwd: checkout,
    args: ['--disable-warning=ExperimentalWarning', ...heapSettings, ...imports.map((module) => `--import=${join(checkout, module)}`), join(checkout, entry), ...args],
    environment: { ...memorySettings, ...ownEnvironment(), ...toEnvironment(config) },
  };
}

/**
 * Segments and messages are buffers of megabytes that come and go. The C library would map each anew, and the kernel
 * would clear its pages; this way it keeps them (a quarter of the capture's time).
 */
const memorySettings = { MALLOC_MMAP_THRESHOLD_: String(4 << 20), MALLOC_TRIM_THRESHOLD_: String(32 << 20), MALLOC_ARENA_MAX: '2' };

/**
 * A heap that may grow to 1.6 times what lives in it. Left to itself, V8 gives it less room above that than its young
 * generation has, and then marks it all again every quarter of a second, which took a third of the worker's time.
 */
const heapSettings = ['--heap-growing-percent=60', '--max-semi-space-size=8'];

/**
 * The user's environment, as a pipeline may refer to variables of any name; but not what would silently change the
 * meaning of our addresses (PGUSER, PGSSLMODE, ...) or of Node.
 */
function ownEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).filter(([name]) => !/^(PG[A-Z]+|NODE_OPTIONS|npm_.*)$/.test(name));
  return Object.fromEntries(entries) as Record<string, string>;
}
