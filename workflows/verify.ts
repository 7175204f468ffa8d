import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/common';
import { ActivityCancellationType, CancellationScope, getExternalWorkflowHandle, patched, proxyActivities, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { VerifyActivities } from '../activities/verify.ts';
import { holdIds, notComparable, notLetGo, verificationText, type Verification } from '../core/verification.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import { releaseHold, resumeLane } from './messages.ts';

export type VerifyWorkflowInput = {
  readonly name: string;
  /** For lanes to reach the snapshot; 30 s by default. */
  readonly reachMs?: number;
};

/** Five million rows take about nine minutes on a machine that has nothing else to do. */
const longestMs = 30 * 60_000;
const attempts = 3;

const { verify: compare } = proxyActivities<VerifyActivities>({
  startToCloseTimeout: longestMs + 60_000,
  heartbeatTimeout: 10_000,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  // an attempt after a killed worker, or one that could not let go: it first undoes what that one did to the pipeline
  retry: { initialInterval: 500, maximumAttempts: attempts, nonRetryableErrorTypes: [notComparable] },
});

/** Compares every sink of a pipeline with its source at one position, while both go on. */
export async function verify({ name, reachMs = 30_000 }: VerifyWorkflowInput): Promise<Verification> {
  const named = patched('a hold is released by its id');
  setCurrentDetails(`# ${name}: comparing\nIts lanes are held at a snapshot of the source, and every sink is compared with it. The source goes on meanwhile.`);
  try {
    const verification = await compare({ pipeline: name, reachMs, longestMs });
    setCurrentDetails(`# ${name}: ${verification.equal ? 'everything is equal' : 'DIFFERENCES'}\n\`\`\`\n${verificationText(verification).replaceAll('```', "'''")}\n\`\`\``);
    return verification;
  } catch (error) {
    const cause = error instanceof ActivityFailure ? error.cause : undefined;
    // cancelled between two attempts, nobody has undone what the first one did
    const isCancelled = cause instanceof CancelledFailure && patched('a cancelled comparison lets go');
    if (isCancelled || cause instanceof TimeoutFailure || (cause instanceof ApplicationFailure && cause.type === notLetGo)) await CancellationScope.nonCancellable(() => letGo(name, named));
    const sentence = cause?.message ?? String(error);
    setCurrentDetails(`# ${name}: could not be compared\n\`\`\`\n${sentence}\n\`\`\``);
    throw cause instanceof ApplicationFailure ? cause : error;
  }
}

/** Whoever held the pipeline is gone or could not reach it, and nobody else has tidied up. `named`: all attempts gave their holds ids. */
async function letGo(name: string, named: boolean): Promise<void> {
  const pipeline = getExternalWorkflowHandle(pipelineWorkflowId(name));
  if (named) return pipeline.signal(releaseHold, ...holdIds(workflowInfo().runId, attempts));
  await pipeline.signal(releaseHold);
  // release 0.1.0 paused the capture beside the hold, and may only have begun what ends here
  if (!patched('a hold has the capture') || patched('what an earlier release began may have paused the capture')) await pipeline.signal(resumeLane, 'capture');
}
