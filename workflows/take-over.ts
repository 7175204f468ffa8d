import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { condition } from '@temporalio/workflow';
import type { TakeOver } from '../activities/steps.ts';
import { origin, type Position } from '../core/position.ts';
import { beginHold, isSettled, type Hold } from './hold.ts';
import { assertCanStop, beside, holdCapture, invalid, releaseInTime } from './holding.ts';
import type { PipelineRun } from './pipeline-run.ts';
import { takeOver } from './steps.ts';

/** For the aggregate lane to have all that was captured; it follows within milliseconds, or is not well. */
const takeOverMs = 30_000;

function redefineId(number: number): string {
  return `redefinition ${number}`;
}

/**
 * The definition changes when nothing of the pipeline runs and its aggregate lane has all that was captured: what comes below that
 * place was folded by the one, and what comes above by the other (E18). Other lanes go on from their fences, wherever they are.
 */
export async function becomeOther(run: PipelineRun, number: number, what: TakeOver): Promise<void> {
  const [id, deadlineMs] = [redefineId(number), Date.now() + takeOverMs];
  await holdCapture(run, { id, timeoutMs: takeOverMs });
  const position = run.part('capture').fence as Position | undefined;
  const hold: Hold = { ...beginHold(position ?? origin, [aggregate], deadlineMs), id, captureHeld: true };
  run.hold = hold;
  beside(releaseInTime(run, hold));
  const { state } = run.part(aggregate);
  if (state !== 'running') run.settle(aggregate, `it is ${state}`);
  run.stop([aggregate]);
  await condition(() => run.hold !== hold || isSettled(hold));
  // where a step of the capture was cut short, more is in the spool than it has told of: whoever takes over looks
  const isThere = (run.part(aggregate).fence ?? origin) >= (position ?? origin);
  if (run.hold !== hold || !isThere) {
    const why = hold.notHeld[aggregate] ?? 'it did not get there in time';
    if (run.hold === hold) run.release();
    throw invalid(`lane ${aggregate} of ${run.name} has not all that was captured: ${why}`);
  }
  run.rotating = true;
  run.stop();
  await condition(() => run.scopes.size === 0);
  try {
    run.become({ ...(await takeOver(run.name, number, what)), loaded: true });
  } catch (error) {
    throw error instanceof ActivityFailure && error.cause instanceof ApplicationFailure ? error.cause : error;
  } finally {
    run.release();
  }
}

const aggregate = 'aggregate';

export function assertCanBecome(run: PipelineRun, number: number): void {
  assertCanStop(run, { id: redefineId(number), timeoutMs: takeOverMs });
}
