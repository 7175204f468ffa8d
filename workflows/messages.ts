import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Lane, LaneKind } from '../core/define/lanes.ts';
import type { LaneState } from '../core/lane-state.ts';
import type { PipelineState } from '../core/pipeline-state.ts';
import type { Position } from '../core/position.ts';
import type { StepResult, TakeOver } from '../activities/steps.ts';

/** Plain, so that `temporal workflow signal --name pause` works without input. */
export const pause = defineSignal('pause');
export const resume = defineSignal('resume');
/** Input: a lane's name, or `capture`. */
export const pauseLane = defineSignal<[string]>('pauseLane');
export const resumeLane = defineSignal<[string]>('resumeLane');
/**
 * Input: ids of holds, which end, or never begin if they are asked for by an update that comes late. Without any, whatever
 * is held goes on; that leaves a drain alone.
 */
export const releaseHold = defineSignal<string[]>('releaseHold');

/** Ends a hold, stops the capture, lets every lane apply what was captured, and ends in `paused`. */
export const drain = defineUpdate<HoldReport>('drain');
/** Takes over settings and addresses of the definition that the workers have now; refuses changed views or sinks. */
export const reload = defineUpdate<{ definitionHash: string }>('reload');
/** Stops the capture while a position is chosen that no lane has passed. It goes on with `holdAt`, with `releaseHold`, or when the time is over. */
export const stopCapture = defineUpdate<void, [StopRequest]>('stopCapture');
/**
 * Brings lanes to exactly one position and keeps them there until `releaseHold`, or until the time is over. A capture that
 * was stopped for it goes on as soon as no lane runs a step that knows nothing of the position.
 */
export const holdAt = defineUpdate<HoldReport, [HoldRequest]>('holdAt');

/** Gives up the stream of this epoch, and begins with the first load. Nothing, if a later one has begun. */
export const loadAnew = defineUpdate<void, [number]>('loadAnew');
/**
 * Input: the number of a redefinition, and whether the pipeline is to become what that makes of it, or to get the lanes that are complete. Its steps end,
 * and when none runs it is done, and a fresh run goes on.
 */
export const redefine = defineUpdate<void, [number, TakeOver]>('redefine');
/** Input: the number of a migration that is over, and why the pipeline cannot go on, if it cannot. */
export const migrated = defineSignal<[number, string?]>('migrated');

export const status = defineQuery<WorkflowStatus>('status');

export type StopRequest = {
  /** What `releaseHold` ends it by, so that nobody else's does; never used again after that. */
  readonly id?: string;
  /** From the beginning to the end, whatever happens. */
  readonly timeoutMs: number;
};

export type HoldRequest = StopRequest & {
  readonly position: Position;
  /** All lanes if it is missing. */
  readonly lanes?: readonly string[];
};

/** Lanes that are held, with their fences, and those that could not be, with the reason. */
export type HoldReport = {
  readonly position: string | null;
  readonly held: Readonly<Record<string, string>>;
  readonly notHeld: Readonly<Record<string, string>>;
};

export type PartStatus = {
  readonly name: string;
  readonly kind: LaneKind | 'capture';
  readonly state: LaneState;
  readonly fence: string | null;
  readonly last: StepResult | null;
  /** Why it is parked or broken. */
  readonly error: string | null;
};

export type WorkflowStatus = {
  readonly name: string;
  readonly state: PipelineState;
  readonly capture: PartStatus;
  readonly lanes: readonly PartStatus[];
  /** Notes about what was asked for and could not be done, newest last. */
  readonly notes: readonly string[];
  /** Why the pipeline is parked, if it is. */
  readonly error: string | null;
  /** ISO time of the first run. */
  readonly started: string;
};

/** Failure type of an update that comes while the run is being exchanged for a fresh one: ask again. */
export const rotatingFailure = 'Rotating';

export type Part = { readonly name: string; readonly kind: Lane['kind'] | 'capture' };
