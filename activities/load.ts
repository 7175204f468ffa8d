import { CancelledFailure, Context } from '@temporalio/activity';
import { firstLoad } from '../connectors/postgres/first-load.ts';
import { cancelChanges, keepSourceColumns } from '../connectors/postgres/schema-changes.ts';
import { assertLoading, beginLoad, endLoad, readShard } from '../connectors/postgres/shard-state.ts';
import { sourceNames } from '../connectors/postgres/source-catalog.ts';
import { assertNotBeingDestroyed } from '../connectors/postgres/state/destroyed.ts';
import type { Sink } from '../connectors/sink.ts';
import { loadedDefinition } from '../core/define/definition-hash.ts';
import { lanesOf } from '../core/define/lanes.ts';
import { killPoint } from '../core/kill-point.ts';
import { migrationWorkflowId } from '../core/migration/schema-change.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { parsePosition } from '../core/position.ts';
import { failureOf } from './failures.ts';
import type { Runtime } from './runtime.ts';
import { watchStop } from './step.ts';
import type { LoadInput, LoadResult } from './steps.ts';

/** The first load of a pipeline (E28). An attempt that ends early is given up; the next one begins anew with a new epoch. */
export async function load(runtime: Runtime, input: LoadInput): Promise<LoadResult> {
  const context = Context.current();
  const progress = { phase: 'waiting for an earlier attempt to end', rows: 0 };
  const end = new AbortController();
  const stop = () => end.abort(new CancelledFailure('the first load was asked to stop; it will begin anew'));
  context.cancellationSignal.addEventListener('abort', stop, { once: true });
  if (context.cancellationSignal.aborted) stop();
  const unwatch = watchStop(runtime, 'capture', input.number, stop);
  const beat = setInterval(() => context.heartbeat(progress), input.heartbeatMs);
  let leave = () => {};
  try {
    leave = await runtime.seats.take(`${input.pipeline}/first load`, stop);
    const { pipeline } = await runtime.definition(input.pipeline, input.definitionHash);
    const shard = await readShard(runtime.state, pipeline.name);
    if (shard?.state === 'streaming' && shard.loadedAt) return { position: shard.loadedAt, rows: 0 };
    await assertNotBeingDestroyed(runtime.state, pipeline.name);
    const sinks = await sinksOf(runtime, pipeline);
    const epoch = await beginLoad(runtime.state, pipeline.name, sourceNames(pipeline.name).slot, loadedDefinition(pipeline), await usedEpoch(runtime, pipeline, sinks));
    for (const number of await cancelChanges(runtime.state, pipeline.name, epoch)) await context.client.workflow.getHandle(migrationWorkflowId(pipeline.name, number)).cancel().catch(() => {});
    const { rows, columns, ...loaded } = await firstLoad({
      pipeline,
      sourceUrl: runtime.config.sourceUrl,
      epoch,
      assertCurrent: () => assertLoading(runtime.state, pipeline.name, epoch),
      sinks,
      signal: end.signal,
      onProgress: (now) => Object.assign(progress, now),
    });
    killPoint('load/handoff');
    await keepSourceColumns(runtime.state, pipeline.name, epoch, columns);
    await endLoad(runtime.state, pipeline.name, epoch, loaded);
    return { position: loaded.position, rows };
  } catch (error) {
    if (context.cancellationDetails?.cancelRequested) throw new CancelledFailure('the first load was asked to stop; it will begin anew');
    // a worker that shuts down: the next attempt is somebody else's; or the server has not heard yet that this one is stopped,
    // and takes no cancellation for an answer: when it has, there is no next attempt
    throw error instanceof CancelledFailure ? new Error(error.message) : failureOf(error);
  } finally {
    clearInterval(beat);
    context.cancellationSignal.removeEventListener('abort', stop);
    unwatch();
    leave();
  }
}

/** Sinks and spool may be older than the state database: the greatest epoch that any of them has seen (E1). */
async function usedEpoch(runtime: Runtime, pipeline: Pipeline, sinks: ReadonlyMap<string, Sink>): Promise<number> {
  const tail = await (await runtime.log(pipeline.name)).tail();
  const fences = await Promise.all([...sinks.values()].map((sink) => sink.readFence()));
  return Math.max(0, ...[tail?.to, ...fences].map((position) => (position === undefined ? 0 : parsePosition(position).epoch)));
}

/** In the order of the lanes: the aggregate lane first. All anew, relays too: what an earlier load had open may have been dropped, and who opens makes it. */
async function sinksOf(runtime: Runtime, pipeline: Pipeline): Promise<ReadonlyMap<string, Sink>> {
  await runtime.destinations.forget(pipeline.name);
  const sinks = new Map<string, Sink>();
  for (const { name, reads } of lanesOf(pipeline)) {
    if (reads === 'segments') sinks.set(name, await runtime.destinations.sink(pipeline, name));
    // what is wrong with it, its lane says
    else await runtime.destinations.useRelay(pipeline, name, async () => {}).catch(() => {});
  }
  return sinks;
}
