import { CancelledFailure, Context } from '@temporalio/activity';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { NotComparable } from '../connectors/verification/not-comparable.ts';
import { verifyPipeline } from '../connectors/verification/verify-pipeline.ts';
import { holdIds, notComparable, notLetGo, type Verification } from '../core/verification.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import { failureOf } from './failures.ts';
import { PipelineHold } from './pipeline-hold.ts';
import type { Runtime } from './runtime.ts';

/** What the verify workflow sees. */
export type VerifyActivities = { verify(input: VerifyInput): Promise<Verification> };

export type VerifyInput = {
  readonly pipeline: string;
  /** For lanes to reach the snapshot, and for the source's running write transactions to end. */
  readonly reachMs: number;
  /** Lanes are held no longer than this. */
  readonly longestMs: number;
};

/**
 * Compares every sink of a pipeline with its source. Fails with `notComparable` and a sentence when that cannot be done, and
 * with `notLetGo` when the pipeline did not hear that it may go on: then the next attempt tells it first.
 */
export async function verify(runtime: Pick<Runtime, 'config' | 'definition'>, { pipeline, reachMs, longestMs }: VerifyInput, client = Context.current().client): Promise<Verification> {
  const context = Context.current();
  const end = new AbortController();
  let phase = 'beginning';
  // an attempt whose worker was killed, or that could not reach Temporal, has undone nothing
  const { attempt, workflowExecution, heartbeatDetails } = context.info;
  const ids = holdIds(workflowExecution!.runId, attempt);
  const tell = () => context.heartbeat({ phase, hold: ids.at(-1) } satisfies Told);
  const beat = setInterval(tell, 500);
  const hold = new PipelineHold(client, { pipeline, times: { reachMs, longestMs }, ids, signal: end.signal });
  const stop = () => {
    end.abort(new CancelledFailure('verify was asked to stop'));
    // a statement that runs now may take minutes; if this fails, it is tried again at the end
    hold.release().catch(() => {});
  };
  context.cancellationSignal.addEventListener('abort', stop, { once: true });
  try {
    await letGoOfEarlierRelease(client, pipeline, heartbeatDetails as Told | undefined);
    await hold.release();
    return await verifyPipeline({
      pipeline: (await runtime.definition(pipeline)).pipeline,
      addresses: runtime.config,
      hold,
      waitMs: reachMs,
      signal: end.signal,
      onPhase: (now) => {
        phase = now;
        tell();
      },
    });
  } catch (error) {
    const known = failure(error, pipeline, phase);
    if (!hold.isLetGo && !(error instanceof WorkflowNotFoundError)) throw stillHeld(known, pipeline, longestMs);
    throw end.signal.aborted ? end.signal.reason : known;
  } finally {
    clearInterval(beat);
    context.cancellationSignal.removeEventListener('abort', stop);
  }
}

/** What an attempt tells the next one: `hold` is the id of its own. Release 0.1.0 told a `state`, and no id. */
type Told = { readonly phase: string; readonly hold?: string | undefined; readonly state?: object };

/** What is held without an id, if the attempt before was of a release that knew none. At first that paused the capture beside it. */
async function letGoOfEarlierRelease(client: Client, pipeline: string, told: Told | undefined): Promise<void> {
  if (told === undefined || told.hold !== undefined) return;
  const workflow = client.workflow.getHandle(pipelineWorkflowId(pipeline));
  await workflow.signal('releaseHold');
  if (told.state) await workflow.signal('resumeLane', 'capture');
}

function stillHeld(known: Error, pipeline: string, longestMs: number): ApplicationFailure {
  return ApplicationFailure.create({ message: `${known.message}. Pipeline ${pipeline} could not be told to go on: it does so by itself within ${longestMs / 60_000} minutes, or at once if you type ./sluice resume ${pipeline}`, type: notLetGo, cause: known });
}

function failure(error: unknown, pipeline: string, phase: string): Error {
  if (error instanceof NotComparable) return ApplicationFailure.create({ message: error.message, type: notComparable, nonRetryable: true, cause: error });
  if (error instanceof WorkflowNotFoundError) return ApplicationFailure.nonRetryable(`Pipeline ${pipeline} does not run: its workflow pipeline/${pipeline} was never started, or has ended. Type ./sluice apply ${pipeline}.`, notComparable);
  const known = failureOf(error);
  const message = `${phase}: ${known.message.replace(/\.$/, '')}. See ./sluice status and ./sluice logs worker, and run verify again.`;
  return ApplicationFailure.create({ message, type: notComparable, nonRetryable: true, cause: known });
}
