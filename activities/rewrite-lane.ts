import { CancelledFailure, Context } from '@temporalio/activity';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { readDetached } from '../connectors/postgres/detached-lanes.ts';
import { readJoining } from '../connectors/postgres/redefinitions.ts';
import { readSourceColumns } from '../connectors/postgres/schema-changes.ts';
import { readShard } from '../connectors/postgres/shard-state.ts';
import { assertNotBeingDestroyed } from '../connectors/postgres/state/destroyed.ts';
import { WholeSnapshot } from '../connectors/postgres/whole-snapshot.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import { systemClock } from '../connectors/system-clock.ts';
import type { LaneState } from '../core/lane-state.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import { failing } from './failures.ts';
import { lackOf } from './lane-loop.ts';
import { openSink } from './open-destination.ts';
import { rewriteRows } from './rewrite-rows.ts';
import type { Runtime } from './runtime.ts';

/** `epoch`: of the load that the stream goes on from. `ifLacking`: unless the spool can bring it on from where it is. */
export type RewriteInput = { readonly pipeline: string; readonly lane: string; readonly epoch: number; readonly ifLacking: boolean };

/** `rows`: of the source, that were read. */
export type Rewritten = { readonly rows: number };

/** Writes all rows of one destination again, and lets its lane go on. An attempt that ends early is given up; the next one takes another snapshot. */
export async function rewriteLane(runtime: Pick<Runtime, 'config' | 'state' | 'definition' | 'log' | 'seats'>, input: RewriteInput): Promise<Rewritten> {
  const { pipeline: name, lane, epoch } = input;
  const context = Context.current();
  const progress = { phase: 'beginning', rows: 0, ...(context.info.heartbeatDetails as { phase: string; rows: number } | undefined) };
  const end = new AbortController();
  const stop = () => end.abort(new CancelledFailure(`the rows of ${lane} were being written again, and that was asked to stop; it begins anew`));
  context.cancellationSignal.addEventListener('abort', stop, { once: true });
  if (context.cancellationSignal.aborted) stop();
  const beat = setInterval(() => context.heartbeat(progress), beatMs);
  let leave = () => {};
  try {
    // not another recovery's: the two would keep ending each other
    leave = await runtime.seats.take(`${name}/${lane} rewrite ${context.info.workflowExecution!.workflowId}`, stop);
    return await failing(async () => {
      const { pipeline, shape } = await runtime.definition(name);
      const shard = await current(runtime, input);
      const log = await runtime.log(name);
      const { sink, rewrite } = await openSink(runtime.config, runtime.state, pipeline, lane);
      try {
        if (!rewrite) throw new TypeError(`the rows of ${lane} have no versions`);
        const reached = (await log.tail())?.to;
        // an attempt before this one may have come to its end, and not known it
        if (!input.ifLacking || (await lackOf({ pipeline: name, name: lane, shape: shape.number, log }, await sink.readFence()))) {
          const known = await readSourceColumns(runtime.state, name, epoch);
          await rewriteRows({
            lane,
            sink: rewrite,
            take: () => WholeSnapshot.take({ pipeline, sourceUrl: runtime.config.sourceUrl, shard, reached, known, signal: end.signal }),
            assertCurrent: async () => void (await current(runtime, input)),
            clock: systemClock,
            signal: end.signal,
            onProgress: (now) => Object.assign(progress, now),
          });
        }
      } finally {
        await sink.close().catch(() => {});
      }
      await resume(context.client, name, lane);
      return { rows: progress.rows };
    });
  } catch (error) {
    if (context.cancellationDetails?.cancelRequested) throw new CancelledFailure(`the rows of ${lane} are not all there yet`);
    // a worker that shuts down: the next attempt is somebody else's
    throw error instanceof CancelledFailure ? new Error(error.message) : error;
  } finally {
    clearInterval(beat);
    context.cancellationSignal.removeEventListener('abort', stop);
    leave();
  }
}

/** The stream that the rows belong to. */
async function current({ state }: Pick<Runtime, 'state'>, { pipeline, lane, epoch }: RewriteInput) {
  await assertNotBeingDestroyed(state, pipeline);
  if ((await readJoining(state, pipeline)).has(lane)) throw new ConfigurationError(`${lane} of ${pipeline} is being added, and gets all rows by that. If nothing goes on with it, type ./sluice apply ${pipeline}.`);
  // nothing of the stream is kept for it
  if ((await readDetached(state, pipeline)).has(lane)) throw new ConfigurationError(`${lane} of ${pipeline} was let go, as the spool had kept all that it may for it. To give it all rows and let it follow again, type ./sluice apply ${pipeline}.`);
  const shard = await readShard(state, pipeline);
  if (shard?.epoch === epoch && shard.state === 'streaming') return shard;
  throw new ConfigurationError(`Pipeline ${pipeline} is being loaded anew, or was, since this began: that writes the rows of ${lane} too. See ./sluice status.`);
}

/** Its lane is parked for what it lacked, or about to be, and so is a capture that found neither spool nor fence. */
async function resume(client: Client, pipeline: string, lane: string): Promise<void> {
  const workflow = client.workflow.getHandle(pipelineWorkflowId(pipeline));
  try {
    const { capture, lanes } = await workflow.query<{ readonly capture: Part; readonly lanes: readonly Part[] }>('status');
    if (capture.state === 'parked') await workflow.signal('resumeLane', 'capture');
    for (const { name, state } of lanes) if (name === lane && (state === 'parked' || state === 'running')) await workflow.signal('resumeLane', lane);
  } catch (error) {
    // one that does not run goes on there when it is started
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** Of what the pipeline's workflow says of itself. */
type Part = { readonly name: string; readonly state: LaneState };

const beatMs = 500;
