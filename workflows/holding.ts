import { ApplicationFailure } from '@temporalio/common';
import { condition, isCancellation } from '@temporalio/workflow';
import { beginHold, holdReport, isSettled, type Hold } from './hold.ts';
import { rotatingFailure, type HoldReport, type StopRequest } from './messages.ts';
import type { PipelineRun } from './pipeline-run.ts';

/** Lanes follow the capture within milliseconds: without this they would be past any position that is chosen now. */
export async function holdCapture(run: PipelineRun, { id, timeoutMs }: StopRequest): Promise<void> {
  const hold: Hold = { ...beginHold(undefined, [], Date.now() + timeoutMs), id, captureHeld: true };
  run.hold = hold;
  keepInTime(run, hold);
  run.moveLane('capture', 'hold');
  run.stop(['capture']);
  await condition(() => run.hold !== hold || !run.scopes.has('capture'));
  run.publish();
  if (run.hold !== hold) throw invalid(`the capture of ${run.name} was let go before it had stopped`);
  const { state } = run.part('capture');
  if (state === 'held') return;
  run.release();
  throw invalid(`the capture of ${run.name} is ${state}`);
}

/** Every lane of the hold is told where to stop. Returns as soon as each is there or cannot be. */
export async function reach(run: PipelineRun, hold: Hold): Promise<HoldReport> {
  run.hold = hold;
  keepInTime(run, hold);
  for (const name of Object.keys(hold.waiting)) {
    const { state } = run.part(name);
    if (state !== 'running') run.settle(name, `it is ${state}`);
  }
  run.stop(Object.keys(hold.waiting));
  await condition(() => run.hold !== hold || isSettled(hold));
  return holdReport(hold, run.hold === hold ? '' : 'it was not there when the hold was released');
}

/** No hold outlives its time, whatever becomes of whoever asked for it, and no capture stands still longer than it must. */
export function keepInTime(run: PipelineRun, hold: Hold): void {
  beside(releaseInTime(run, hold));
  if (hold.captureHeld && hold.position !== undefined) beside(letCaptureGo(run, hold));
}

/** Nobody waits for it, and it ends with the workflow: left to itself, its cancellation would fail every task from then on. */
export function beside(work: Promise<void>): void {
  work.catch((error: unknown) => {
    if (!isCancellation(error)) throw error;
  });
}

export async function releaseInTime(run: PipelineRun, hold: Hold): Promise<void> {
  await condition(() => run.hold !== hold, Math.max(1, hold.deadlineMs - Date.now()));
  if (run.hold === hold) run.release();
}

/** As soon as no lane of the hold runs a step that began before: such a one knows nothing of the position. */
async function letCaptureGo(run: PipelineRun, hold: Hold): Promise<void> {
  const before = new Set(Object.keys(hold.waiting).map((name) => run.scopes.get(name)));
  await condition(() => run.hold !== hold || ![...run.scopes.values()].some((scope) => before.has(scope)));
  if (run.hold !== hold) return;
  hold.captureHeld = false;
  run.moveLane('capture', 'release');
  run.publish();
}

export function assertCanStop(run: PipelineRun, { id, timeoutMs }: StopRequest): void {
  assertRuns(run, 'held');
  assertMayBegin(run, id);
  assertTime(timeoutMs);
  if (run.hold) throw invalid(`${run.name} is held already${untilFree(run)}`);
  const { state } = run.part('capture');
  if (state !== 'running') throw invalid(`the capture of ${run.name} is ${state}`);
}

/** Of one task, a workflow hears of signals before updates, whichever was sent first. */
export function assertMayBegin(run: PipelineRun, id: string | undefined): void {
  if (id !== undefined && run.released.includes(id)) throw invalid(`this hold of ${run.name} was released before it began`);
}

export function assertTime(timeoutMs: number): void {
  if (!(Number.isFinite(timeoutMs) && timeoutMs > 0)) throw invalid(`timeoutMs ${timeoutMs} is not a positive number`);
}

export function untilFree({ name }: PipelineRun): string {
  return `, as by another verify: wait until that has ended, or type ./sluice resume ${name} if there is none`;
}

export function assertRuns(run: PipelineRun, verb: string): void {
  assertNotRotating(run);
  if (run.state !== 'running') throw invalid(`${run.name} is ${run.state}, and only a running pipeline can be ${verb}`);
}

export function assertNotRotating(run: PipelineRun): void {
  if (run.rotating) throw ApplicationFailure.nonRetryable('a fresh run is about to take over; ask again', rotatingFailure);
}

export function invalid(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, 'InvalidRequest');
}
