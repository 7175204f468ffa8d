import type { Position } from '../core/position.ts';
import type { Segment } from '../core/segment.ts';

/**
 * One destination of a pipeline. A lane reads the fence, then applies what follows it, for ever.
 *
 * The promise that a new connector must keep: applying the same events any number of times, by any number of workers,
 * in any crash order, ends in the state of applying them once (I2), and the fence never leads the effects (I3).
 */
export interface Sink {
  /** The position that is durably applied; undefined: this sink has never been loaded. Reads the sink, never a cache. */
  readFence(): Promise<Position | undefined>;

  /**
   * Applies the events in (from, to] and moves the fence from `from` to `to` by compare-and-set. The segments are
   * consecutive; the first may begin at or below `from`, the last may end above `to` (re-cut or held): what is
   * outside is not for this call. Throws FenceMoved when the fence is not `from`: another worker has gone on; PoisonError
   * when the destination refuses the content (the fence may have moved part of the way, and the sink can go on from it).
   */
  apply(segments: readonly Segment[], from: Position, to: Position): Promise<Applied>;

  /** A piece of the first load: rows of the snapshot, at ordinal 0, not yet under the fence. Repeating is harmless. */
  load(chunk: Segment, chunkNumber: number): Promise<void>;

  /**
   * After the last chunk: rows older than `position` are gone, the fence is `position` (E28). A worker that stood still may
   * call it after a later load has ended: that one's fence stays. Throws FenceMoved if the sink can tell. `again`: another
   * attempt of the same load may have left rows, where that can be told by nothing else.
   */
  finishLoad(position: Position, again?: boolean): Promise<void>;

  close(): Promise<void>;
}

/** What an apply did, for summaries and metrics. Counts of this call. */
export type Applied = {
  events: number;
  late?: number;
  /** Events that were set aside as dead letters. */
  deadLetters?: number;
  windowsClosed?: number;
  /** Closed panes that have lost a min or max, which only the source knows (E15). */
  retracted?: number;
  /** Closed panes lack late changes, or a min or max, and no apply before this one has told of it. */
  stale?: boolean;
  /** Microseconds since 1970. */
  watermark?: number;
};

/** Another worker moved this sink's fence: end the step, read the fence, begin again from there. */
export class FenceMoved extends Error {
  override readonly name = 'FenceMoved';
  /** A position, or a relay's sequence number. */
  readonly expected: string;
  readonly found: string;
  constructor(sink: string, expected: string, found: string | undefined) {
    super(`${sink}: fence is ${found ?? 'missing'}, expected ${expected}: another worker has gone on`);
    this.expected = expected;
    this.found = found ?? '';
  }
}

/**
 * Something that only a person can mend (a missing table, a wrong password). The lane parks with this sentence: what
 * happened, to what, why, and what to type next.
 */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  /** The sentence without what to type, if `mend` has that. */
  readonly what: string;
  readonly mend: string | undefined;
  constructor(what: string, { cause, mend }: { readonly cause?: unknown; readonly mend?: Mend } = {}) {
    super(mend ? `${what} ${mend.lead ?? 'Type in the source: '}${mend.type}${mend.otherwise ?? ''}` : what, cause === undefined ? undefined : { cause });
    this.what = what;
    this.mend = mend?.type;
  }
}

/** `type`: the SQL or the command alone, as `doctor` prints it. `lead`: what the sentence says before it. */
export type Mend = { readonly type: string; readonly lead?: string; readonly otherwise?: string };
