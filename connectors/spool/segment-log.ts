import type { Position } from '../../core/position.ts';
import type { Segment, SegmentHeader } from '../../core/segment.ts';
import { TransientError } from '../transient-error.ts';
import type { Link } from './segment-chain.ts';

/**
 * A shard's segments as lanes read them: the newest from memory, older ones from the spool. One for each shard in a
 * process; what another process appends is found by looking into the spool.
 */
export interface SegmentLog {
  readonly shard: string;
  /** Header of the newest segment. */
  tail(): Promise<SegmentHeader | undefined>;
  /** Header of the newest segment that has events. */
  lastEvents(): Promise<SegmentHeader | undefined>;
  /** Header of the newest claim. */
  lastClaim(): Promise<SegmentHeader | undefined>;
  /** The oldest segment that the spool still has. */
  oldest(): Promise<Link | undefined>;
  /**
   * Consecutive segments, the first of which contains or follows `after`, at most about `maxRows` rows of them. Waits
   * until there is one; [] when the signal aborts first. Throws SpoolTooShort if the segment behind `after` was trimmed.
   */
  read(after: Position, limits: { maxRows: number }, signal: AbortSignal): Promise<readonly Segment[]>;
  /**
   * The caller will not look at these segments again: their memory may be used for others. Those that are never released
   * are left to the garbage collector, as is right when an error leaves it open who still looks.
   */
  release(segments: readonly Segment[]): void;
}

export interface Appender {
  /**
   * The number that the next segment must have; `first`: if there was none before. That must be greater than all numbers
   * of a spool that was there before and was deleted, or somebody who still appends to that one could meet this one.
   */
  next(first: number): Promise<number>;
  /** Forgets everything: the chain begins anew, at the next number and another position. */
  startOver(): Promise<void>;
  /** Memory for a segment that will be appended. */
  allocate(size: number): Uint8Array;
  /** Appends segments that continue the tail, which the caller releases when it has looked at them. 'lost': another capture was first. */
  append(segments: readonly Segment[]): Promise<'appended' | 'lost'>;
  /** Forgets segments that end at or below `position` and are older than `keepMs`. */
  trim(position: Position, keepMs: number): Promise<void>;
  /** Every reader has what ends at or below `position`: it stays in the spool, and small segments leave the memory. */
  passed(position: Position): void;
  size(): Promise<number>;
  /** Bytes that there still is room for. */
  free(): Promise<number>;
  /** Bytes of the segments behind `position` that were appended here: how far a reader that is there is behind. */
  bytesAfter(position: Position): number;
  /** Of all that are stored, whoever appended them: each is looked at, which may take a second. */
  sizeAfter(position: Position): Promise<number>;
}

export class SpoolTooShort extends Error {
  override readonly name = 'SpoolTooShort';
  readonly shard: string;
  /** Where the spool begins. */
  readonly oldest: Position;
  constructor(shard: string, after: Position, oldest: Position) {
    super(`the spool of ${shard} begins at ${oldest}, and what follows ${after} was trimmed: this sink must be rebuilt`);
    this.shard = shard;
    this.oldest = oldest;
  }
}

/** Files of the spool were deleted, and an append that was to follow them does not count: the capture begins again where the sinks are. */
export class SpoolLost extends TransientError {
  constructor(shard: string, seq: number) {
    super(`the spool of ${shard} does not have what segment ${seq} was to follow: files were deleted`);
  }
}
