import type { Position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import type { Aside, OfTransaction, PaneRange } from '../../core/views/fold.ts';
import type { PaneDeltas, PaneSet } from '../../core/views/panes.ts';
import type { Rebuilding } from '../../core/views/rebuilding.ts';
import type { Published } from '../../core/views/windows.ts';
import type { ResultBody, ResultRow } from '../relay.ts';

/**
 * Where the aggregate lane of a pipeline keeps what it knows. A transaction is done as a whole or not at all, and after
 * `lock` no other one of the same pipeline goes on beside it.
 */
export interface AggregateTables {
  transaction<T>(work: (tables: AggregateTransaction) => Promise<T>): Promise<T>;
  readFence(): Promise<Position | undefined>;
}

export interface AggregateTransaction {
  /** Takes the fence for the transaction's length. Throws FenceMoved unless it is where the lane believes it to be. */
  lockFence(expected: Position): Promise<void>;
  readFence(): Promise<Position | undefined>;
  setFence(position: Position): Promise<void>;
  /** What the last transaction wrote, for this one alone until it ends. */
  lock(): Promise<AggregateState>;
  /** The end of the transaction; `fence` if that moves. */
  write(state: AggregateState, fence: Position | undefined): Promise<void>;

  /**
   * Dead letters in (from, to] whose events are among `applied`, which is asked only if there are any, are no more: they
   * were written by somebody who did not come to move the fence, and the event was taken this time (I2).
   */
  forgetLetters(from: Position, to: Position, applied: () => readonly Position[]): Promise<void>;

  /** Dimension events in (from, to] become versions by position (E16). */
  keepDimensions(segments: readonly Segment[], from: Position, to: Position): Promise<void>;

  /** Returns starts of panes that have lost a min or max now, with rows left whose min or max is not known (E15). */
  addToPanes(set: PaneSet, deltas: PaneDeltas): Promise<readonly number[]>;
  /** A transaction of the source may come in several pieces: its rows add up. */
  setAside(set: PaneSet, aside: readonly Aside[]): Promise<void>;
  /** Nothing of what came so far counts any more, late output and kept changes included (E8). */
  clearPanes(set: PaneSet): Promise<void>;
  /** What changes in panes that are being computed anew: they get it when they are there (E18). */
  keepChanges(set: PaneSet, kept: readonly OfTransaction[]): Promise<void>;
  /**
   * The panes of a range are now these, of a snapshot at `base`, with the changes that were kept from there on; what was
   * set aside before counts no more, and from now on nothing does that is below `base` (E18).
   */
  replacePanes(set: PaneSet, range: PaneRange, panes: PaneDeltas, base: Position): Promise<void>;
  /** False: the pipeline is being compared with its source, and what a backfill says could not be published meanwhile. Holds for this transaction. */
  mayReplace(): Promise<boolean>;
  /** The live structures of these lanes are to be made anew, whatever happens after this transaction (E11). */
  noteLiveRebuilds(lanes: readonly string[]): Promise<void>;
  /** No pane of the set is being computed anew any more. */
  forgetChanges(set: PaneSet): Promise<void>;
  /** Of panes that were computed anew, the position of the newest time. */
  basesOf(set: PaneSet, panes: Iterable<number>): Promise<ReadonlyMap<number, Position>>;
  /** Starts of the panes in [from, before) that have rows. */
  panesBetween(set: PaneSet, from: number, before: number): Promise<readonly number[]>;
  /** The same of what is set aside. */
  latePanes(set: PaneSet, from: number, before: number): Promise<readonly number[]>;
  /** The same of panes that have lost a min or max. */
  retractedPanes(set: PaneSet, from: number, before: number): Promise<readonly number[]>;

  /** Windows of a view by their ends: what the panes have now, labels as of a position, and what was last said. */
  readWindows(view: string, ends: readonly number[], at: Position): Promise<readonly WindowNow[]>;
  /** Ends, at or below `upTo`, of published windows that are not final. */
  openWindows(view: string, upTo: number): Promise<readonly number[]>;
  keepWindows(windows: readonly PublishedWindow[]): Promise<void>;
  /** Every published window that had a result gets its next revision, and an empty digest. */
  emptyWindows(): Promise<void>;
  /** Appends to the outbox, numbered from `after` + 1 on. */
  say(messages: readonly Said[], after: number): Promise<void>;

  /** Lets go of panes and final windows before the horizon, and of messages of windows before `keepMessagesFromMs` that every relay has. */
  trim(horizonMs: number, keepMessagesFromMs: number): Promise<void>;

  /** False: the chunk of the first load was taken before. */
  takeChunk(chunk: number): Promise<boolean>;
  forgetChunks(): Promise<void>;
  /** A load starts over: no panes, windows, versions, chunks or fence; the outbox stays. */
  forget(): Promise<void>;
}

export type AggregateState = {
  /** Microseconds since 1970; undefined: none yet. */
  readonly clockUs: number | undefined;
  readonly loadedClockUs: number | undefined;
  /** The epoch of the load that made what is here; undefined: none yet. */
  readonly loadEpoch: number | undefined;
  /** Panes before this are not kept. */
  readonly horizonMs: number;
  readonly outboxSeq: number;
  /** By pane set: closed panes that changed since windows were last looked at. */
  readonly dirty: Readonly<Record<string, readonly number[]>>;
  readonly rebuilding: readonly Rebuilding[];
  /** Closed panes lack late changes, or a min or max, of which no apply has told. */
  readonly isStale: boolean;
};

export type Said = { readonly view: string; readonly message: ResultBody };
export type PublishedWindow = Published & { readonly view: string; readonly endMs: number };

/** A window as its panes have it now, and what was last said of it. */
export type WindowNow = { readonly endMs: number; readonly digest: string; readonly published: Published | undefined; readonly rows: readonly ResultRow[] };
