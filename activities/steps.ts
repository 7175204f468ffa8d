import type { Lane, LaneKind } from '../core/define/lanes.ts';
import type { Position } from '../core/position.ts';

/** What workflows see of activities. The keys are activity types: what the Web UI shows (E27). */
export type Activities = {
  describe(input: { readonly pipeline: string }): Promise<Description>;
  firstLoad(input: LoadInput): Promise<LoadResult>;
  capture(input: CaptureStepInput): Promise<StepResult>;
  /** What the source keeps for the pipeline, and how much it may become. */
  slotLag(input: { readonly pipeline: string }): Promise<SlotLag>;
  /** The stream of this epoch is given up, so that the pipeline is loaded anew. */
  forgetLoad(input: { readonly pipeline: string; readonly epoch: number }): Promise<void>;
  /** While nothing of the pipeline runs: it becomes what a redefinition makes of it, or gets the lanes that are complete now. */
  takeOver(input: TakeOverInput): Promise<Description>;
  /** Tells steps that they are stopped, before their next heartbeat does. Local. */
  stopSteps(input: StopInput): Promise<void>;
} & { readonly [Kind in LaneKind]: (input: LaneStepInput) => Promise<StepResult> };

/** What the workflow must know of a definition; it imports none, so that a change of one cannot break its replay. */
export type Description = {
  readonly lanes: readonly Lane[];
  readonly definitionHash: string;
  readonly stepMs: number;
  readonly heartbeatMs: number;
  /** Heartbeats are so rare that whoever stops steps tells them himself (E26). Missing in histories of before it was done. */
  readonly tellsSteps?: boolean;
  readonly loaded: boolean;
  /** As in the settings. Missing in histories of before it was done: never. */
  readonly repairAfterMs?: number;
  /** pipelines/ has another definition than what runs. Missing: it has the same, or nobody looked. */
  readonly isOther?: boolean;
};

/** become: from then on the pipeline is the other one. join: lanes that were added run from then on. */
export type TakeOver = 'become' | 'join';
export type TakeOverInput = { readonly pipeline: string; readonly number: number; readonly what: TakeOver };

/** By part, the number of its step; all before it are stopped too. */
export type StopInput = { readonly steps: Readonly<Record<string, number>> };

export type SlotLag = { readonly bytes: number; readonly most: number };

export type StepInput = {
  readonly pipeline: string;
  /** The definition that the workflow runs; a worker that has another one refuses the step. */
  readonly definitionHash: string;
  /** By the worker's own clock: machines need not agree on the time. */
  readonly durationMs: number;
  readonly heartbeatMs: number;
  /** By which its run tells it to stop; missing: it hears of it with a heartbeat soon enough. */
  readonly number?: number;
};

export type CaptureStepInput = StepInput & {
  /** The number of a change that somebody must decide: what follows it is kept as it comes. */
  readonly undecided?: number;
};

export type LaneStepInput = StepInput & {
  readonly lane: string;
  /** Apply nothing above this position, and end once it is reached. */
  readonly until?: Position;
};

export type LoadInput = Omit<StepInput, 'durationMs'>;
export type LoadResult = { readonly position: Position; readonly rows: number };

/**
 * Why a step ended. held: it is exactly at `until`. past: its fence was above `until` already. superseded: another
 * worker has gone on. changed: what follows has other columns (`change`).
 */
export type StepEnd = 'time' | 'asked' | 'held' | 'past' | 'superseded' | 'changed';

/** What a step did, as an operator reads it in the history. */
export type StepResult = {
  readonly ended: StepEnd;
  /** A position, for relay lanes the outbox's sequence number. Missing: it got nowhere. */
  readonly fence?: string;
  readonly segments: number;
  readonly events: number;
  readonly late?: number;
  /** Closed panes that have lost a min or max, and wait for a repair (E15). */
  readonly retracted?: number;
  /** A backfill, or a letter that was replayed, has left closed panes for a repair. */
  readonly stale?: boolean;
  readonly windowsClosed?: number;
  /** Events that were set aside for their content. */
  readonly deadLetters?: number;
  /** ISO time. */
  readonly watermark?: string;
  /** Of a change of the source's schema: its number. */
  readonly change?: number;
};
