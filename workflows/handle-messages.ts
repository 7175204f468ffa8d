import { ApplicationFailure } from '@temporalio/common';
import { condition, isCancellation, patched, setHandler } from '@temporalio/workflow';
import type { Description } from '../activities/steps.ts';
import { origin, toPosition, type Position } from '../core/position.ts';
import { described } from './described.ts';
import { beginHold, holdReport, withReleased } from './hold.ts';
import { assertCanStop, assertMayBegin, assertNotRotating, assertRuns, assertTime, holdCapture, invalid, keepInTime, reach, untilFree } from './holding.ts';
import { drain, holdAt, loadAnew, pause, pauseLane, redefine, releaseHold, reload, resume, resumeLane, migrated, status, stopCapture, type HoldReport, type HoldRequest } from './messages.ts';
import type { PipelineRun } from './pipeline-run.ts';
import { refusal } from './refusal.ts';
import { forgetLoad } from './steps.ts';
import { assertCanBecome, becomeOther } from './take-over.ts';

/** Everything that one can ask of a running pipeline. */
export function handleMessages(run: PipelineRun): void {
  setHandler(status, () => run.status());
  setHandler(pause, () => {
    run.draining = undefined;
    run.release();
    run.move('pause');
    run.stop();
  });
  setHandler(resume, () => {
    run.draining = undefined;
    run.release();
    // a person who resumes has mended what was wrong; lanes that were paused by name stay so
    for (const name of ['capture', ...run.lanes.map((lane) => lane.name)]) {
      const { state } = run.part(name);
      if (state === 'parked' || state === 'broken' || state === 'running') run.resume(name);
      else letGo(run, name);
    }
    run.move('resume');
  });
  setHandler(pauseLane, (name) => {
    if (!known(run, name, 'pauseLane')) return;
    // or, as before, goes on keeping what follows a change
    if (run.part(name).state !== 'migrating' || patched('a capture that waits for a migration is paused')) run.moveLane(name, 'pause');
    run.stop([name]);
    run.publish();
  });
  setHandler(resumeLane, (name) => {
    if (!known(run, name, 'resumeLane')) return;
    if (name === 'capture' && run.part(name).state === 'migrating') stopKeeping(run);
    run.resume(name);
    letGo(run, name);
    if (name === 'capture' && run.state === 'parked') run.move('resume');
    run.publish();
  });
  setHandler(releaseHold, (...ids) => {
    if (ids.length > 0 && patched('a hold is released by its id')) {
      run.released = withReleased(run.released, ids);
      if (ids.some((id) => id === run.hold?.id)) run.release();
      return;
    }
    // whoever compared when the drain began still says that it has ended: the lanes are on their way to another position
    if (run.draining && patched('a drain is no hold to release')) return;
    run.release();
  });
  setHandler(stopCapture, (request) => holdCapture(run, request), { validator: (request) => assertCanStop(run, request) });
  setHandler(holdAt, (request) => holdLanes(run, request), { validator: (request) => assertCanHold(run, request) });
  setHandler(loadAnew, (epoch: number) => beginAnew(run, epoch), { validator: (_epoch: number) => assertNotRotating(run) });
  setHandler(redefine, (number, what) => becomeOther(run, number, what), { validator: (number, _what) => assertCanBecome(run, number) });
  setHandler(migrated, (number, reason) => goOnAfter(run, number, reason));
  setHandler(drain, () => drainAll(run), { validator: () => assertRuns(run, 'drained') });
  setHandler(reload, () => reloadSettings(run), { validator: () => assertNotRotating(run) });
  if (run.hold) keepInTime(run, run.hold);
}

/** The capture, and a lane that is held by no hold, as release 0.1.0 left them after a drain: nothing else would ever let that go. */
function letGo(run: PipelineRun, name: string): void {
  if (run.part(name).state !== 'held' || (run.hold && name in run.hold.held)) return;
  if (patched('a resumed lane is held only by a hold')) run.moveLane(name, 'release');
}

async function holdLanes(run: PipelineRun, { id, position, lanes, timeoutMs }: HoldRequest): Promise<HoldReport> {
  const names = lanes ?? run.lanes.map(({ name }) => name);
  const { captureHeld = false } = run.hold ?? {};
  return reach(run, { ...beginHold(position, names, Date.now() + timeoutMs), id, captureHeld });
}

/** A lane that is not empty by then is in the report. */
const drainMs = 60_000;
/** Release 0.1.0 did not tell drains apart. */
const anyDrain = {};

async function drainAll(run: PipelineRun): Promise<HoldReport> {
  const deadlineMs = Date.now() + drainMs;
  const lanes = run.lanes.map(({ name }) => name);
  // before anything of it can begin: its lanes are to apply what was captured, as all others
  if (run.hold && patched('a drain ends a hold')) run.release();
  const itself = patched('a drain ends only itself');
  const mine = itself ? {} : anyDrain;
  run.draining = mine;
  run.move('drain');
  run.stop();
  await condition(() => run.scopes.size === 0 || run.draining !== mine);
  const position = run.part('capture').fence as Position | undefined;
  const target = beginHold(position ?? origin, lanes, deadlineMs);
  if (run.draining !== mine) return holdReport(target, 'somebody paused or resumed the pipeline meanwhile');
  const report = position === undefined ? holdReport(target, 'nothing was captured yet') : await reach(run, target);
  // somebody resumed, and perhaps another drain is at work
  if (itself && run.draining !== mine) return report;
  run.draining = undefined;
  run.release();
  run.stop();
  run.publish();
  return report;
}

async function reloadSettings(run: PipelineRun): Promise<{ definitionHash: string }> {
  const now = await described(run);
  const before = run.description;
  if (before && before.definitionHash !== now.definitionHash) {
    throw ApplicationFailure.nonRetryable(`reload takes over settings and addresses only, and ${difference(before, now)}. The pipeline goes on as it was.`, 'DefinitionChanged');
  }
  // it was given up meanwhile to be loaded anew, and is described again for that
  if (before || !patched('a reload describes only what is described')) run.description = { ...now, loaded: before?.loaded ?? now.loaded };
  run.tellOther(now.isOther === true);
  run.stop();
  return { definitionHash: now.definitionHash };
}

/** When nothing of it runs any more, for a step would not find its load. */
async function beginAnew(run: PipelineRun, epoch: number): Promise<void> {
  run.draining = undefined;
  run.release();
  run.rotating = true;
  run.stop();
  await condition(() => run.scopes.size === 0);
  await forgetLoad(run.name, epoch);
  run.forget();
}

/** Its lanes have all that came before, and know nothing of the new columns until they begin anew. */
async function goOnAfter(run: PipelineRun, number: number, reason: string | undefined): Promise<void> {
  const { state, last } = run.part('capture');
  if (last?.change !== number) return;
  if (reason !== undefined) {
    run.migrationOver(number);
    if (state !== 'migrating') return;
    run.refused('capture', { kind: 'configuration', sentence: reason });
    stopKeeping(run);
    return;
  }
  try {
    const now = await described(run);
    // it was given up meanwhile to be loaded anew
    if (!run.description) return;
    run.description = { ...now, loaded: true };
  } catch (error) {
    if (!isCancellation(error)) run.refused('capture', refusal(error));
    return;
  }
  run.migrated = number;
  run.migrationOver(number);
  if (run.part('capture').state === 'migrating') run.moveLane('capture', 'resume');
  // a lane that began anew between may have met tables that were not its own any more
  for (const { name } of run.lanes) if (run.part(name).state === 'parked') run.moveLane(name, 'resume');
  run.stop();
  run.publish();
}

/** What the capture does while it waits: its next step finds out anew what is to be decided. */
function stopKeeping(run: PipelineRun): void {
  if (run.scopes.has('capture')) run.stop(['capture']);
}

function difference(before: Description, now: Description): string {
  const text = ({ lanes }: Description) => lanes.map(({ name, kind }) => `${name} (${kind})`).toSorted();
  const added = text(now).filter((lane) => !text(before).includes(lane));
  const removed = text(before).filter((lane) => !text(now).includes(lane));
  if (added.length + removed.length === 0) return 'the source, the columns of its rows, a view, or where a sink writes has changed';
  return [added.length > 0 ? `sinks were added: ${added.join(', ')}` : '', removed.length > 0 ? `sinks were removed: ${removed.join(', ')}` : ''].filter(Boolean).join('; ');
}

function known(run: PipelineRun, name: unknown, signal: string): name is string {
  if (typeof name === 'string' && run.knows(name)) return true;
  run.note(`${signal} ${JSON.stringify(name)} was ignored: the lanes are ${run.lanes.map((lane) => lane.name).join(', ')}, and there is capture`);
  run.publish();
  return false;
}

function assertCanHold(run: PipelineRun, { id, position, lanes, timeoutMs }: HoldRequest): void {
  assertRuns(run, 'held');
  assertMayBegin(run, id);
  toPosition(position);
  assertTime(timeoutMs);
  const unknown = lanes?.filter((name) => !run.lanes.some((lane) => lane.name === name)) ?? [];
  if (unknown.length > 0) throw invalid(`${run.name} has no lane ${unknown.join(', ')}; its lanes are ${run.lanes.map(({ name }) => name).join(', ')}`);
  if (run.hold?.position !== undefined) throw invalid(`${run.name} is held at ${run.hold.position} already${untilFree(run)}`);
  if (run.hold && run.hold.id !== id) throw invalid(`the capture of ${run.name} is held already${untilFree(run)}`);
}
