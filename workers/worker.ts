import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GracefulShutdownPeriodExpiredError, NativeConnection, Worker } from '@temporalio/worker';
import { createActivities } from '../activities/index.ts';
import { Reachability } from '../activities/reachability.ts';
import { Runtime } from '../activities/runtime.ts';
import { SourceWatch } from '../activities/source-watch.ts';
import { migrate } from '../connectors/postgres/state/migrate.ts';
import { type Config, parseConfig } from '../core/config.ts';
import { lanesOf } from '../core/define/lanes.ts';
import { heartbeatMsOf } from '../core/heartbeat.ts';
import { temporalAccess } from '../core/temporal-access.ts';
import { taskQueue } from '../core/workflow-names.ts';
import { pipelines } from '../pipelines/index.ts';
import { watchKillPoints } from './arm-kill-points.ts';
import { serveHealth } from './health.ts';
import { type Log, installTemporalLog, openLog } from './log.ts';
import { openMetrics } from './metrics.ts';
import { untilItWorks } from './until-it-works.ts';
import { drainMs, workerOptions } from './worker-options.ts';
import { workflowBundle } from './workflow-bundle.ts';

/**
 * What a first start would have to do, beside the start of the services: bundles the workflows, and has loaded all of this,
 * of which Node keeps the compiled form (NODE_COMPILE_CACHE, see ./sluice). A worker that finds it never loads Node's
 * TypeScript compiler, which would stay in its memory (decision 6).
 */
export async function prepare(): Promise<void> {
  await workflowBundle(join(parseConfig(process.env).dataDir, 'workflows'));
}

/** One worker: every pipeline's workflow tasks and activities. Any number may run. Ends the process. */
export async function work(): Promise<never> {
  const config = parseConfig(process.env);
  const log = openLog(config.logLevel);
  if (config.killPoints !== undefined) watchKillPoints(config.killPoints);
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort(signal));
  try {
    await run(config, log, stopping.signal);
    process.exit(0);
  } catch (error) {
    // steps that did not end in time begin again at their fences, as after any end; `down` tells what is logged here
    if (error instanceof GracefulShutdownPeriodExpiredError) log.warn({ drained: false }, `the worker did not drain within ${drainMs / 1000} s and was ended (harmless: it goes on from its fences)`);
    if (stopping.signal.aborted) process.exit(0);
    log.fatal({ err: error }, error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}

async function run(config: Config, log: Log, stopping: AbortSignal): Promise<void> {
  installTemporalLog(log);
  const retrying = { signal: stopping, onFailure: (what: string, error: unknown) => log.warn({ err: error }, `${what}: trying again`) };

  const [bundle, connection] = await Promise.all([
    workflowBundle(join(config.dataDir, 'workflows')),
    untilItWorks('connecting to Temporal', () => NativeConnection.connect(temporalAccess(config, process.env, readFileSync)), retrying),
  ]);
  const reachability = new Reachability(() => connection.withDeadline(Date.now() + 2_000, () => connection.workflowService.getSystemInfo({})));
  const runtime = new Runtime(config, process.env, reachability);
  await untilItWorks('migrating the state database', () => migrate(runtime.state), retrying);

  const watch = new SourceWatch(runtime, Object.keys(pipelines), (pipeline, { alarm, sentence }) => {
    if (alarm === 'none') log.info({ pipeline, alarm }, `pipeline ${pipeline}: its source is safe again: ${sentence}`);
    else log.warn({ pipeline, alarm }, `pipeline ${pipeline}, ${alarm}: ${sentence}; see ./sluice status for what holds it up`);
  });

  const worker = await Worker.create({
    connection,
    namespace: config.temporalNamespace,
    taskQueue,
    workflowBundle: bundle,
    activities: createActivities(runtime),
    ...workerOptions(needs(config)),
  });
  const health = () => ({ healthy: worker.getState() === 'RUNNING', worker: worker.getState(), temporal: reachability.reachable ? 'reachable' : 'away: streams go on', pid: process.pid });
  const server = await serveHealth(config.workerPort, health, openMetrics(runtime.progress, watch, runtime.state));

  const stop = () => worker.getState() === 'RUNNING' && worker.shutdown();
  stopping.addEventListener('abort', stop, { once: true });
  const running = worker.run();
  if (stopping.aborted) stop();
  log.info({ pipelines: Object.keys(pipelines), temporal: config.temporalAddress }, 'worker runs');
  try {
    await running;
    log.info('worker has drained');
  } finally {
    server.close();
    await Promise.race([Promise.all([watch.stop(), runtime.close()]), new Promise((resolve) => setTimeout(resolve, closeMs))]);
    await connection.close().catch(() => {});
  }
}

/** A store that is away must not keep a process that is done. */
const closeMs = 1_000;

function needs(config: Config): { heartbeatMs: number; mostParts: number } {
  const all = Object.values(pipelines);
  return {
    heartbeatMs: Math.min(...all.map(({ settings }) => heartbeatMsOf(settings, config.heartbeat))),
    mostParts: Math.max(...all.map((pipeline) => lanesOf(pipeline).length + 1)),
  };
}
