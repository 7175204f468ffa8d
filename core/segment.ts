import type { Vector } from './columns/vector.ts';
import type { Position } from './position.ts';

/**
 * An immutable columnar run of consecutive change events of one shard. `open` in segment-file.ts makes one from the
 * bytes of a container; nothing is copied, every array is a view of `bytes`.
 */
export type Segment = {
  readonly header: SegmentHeader;
  readonly transactions: Transactions;
  readonly truncates: readonly Truncate[];
  readonly batches: readonly Batch[];
  readonly bytes: Uint8Array;
};

/** `from` is the previous segment's `to`; the segment's events are in (from, to]. */
export type SegmentHeader = {
  readonly shard: string;
  readonly seq: number;
  readonly kind: 'claim' | 'events';
  readonly captureId: string;
  readonly from: Position;
  readonly to: Position;
  /** WAL LSN of the last event itself, as hexadecimal digits: a restarted capture checks that it still is the same (E6). */
  readonly lastEventLsn?: string;
  /** If it ends with a whole transaction: where that one's commit ends in the WAL, which is what is confirmed of it. */
  readonly endLsn?: string;
  /** How late the stream was here, if more of it was on its way: who takes this segment does well to wait for that. */
  readonly delayMs?: number;
  /** How many migrations the columns have gone through; missing: none. */
  readonly shape?: number;
  /** In a claim: under which conditions its capture reads (E3). */
  readonly claim?: Claim;
};

export type Claim = {
  readonly definitionHash: string;
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly epoch: number;
  readonly slot: string;
  readonly binary: boolean;
};

/**
 * The transactions that have a part in the segment, in commit order, a row each; one without events of ours (a canary)
 * has a row too. A huge transaction is in several segments, and `complete` in the last of them only: clocks, watermarks
 * and closings move at the ends of complete transactions, never at cuts (E5, I6).
 */
export type Transactions = {
  readonly count: number;
  /** Commit LSN: low and high word a row. */
  readonly lsns: Uint32Array;
  /** Microseconds since 1970. */
  readonly commitTimes: Float64Array;
  readonly lastOrdinals: Uint32Array;
  readonly complete: Uint8Array;
  /**
   * What the transaction says of event time, in microseconds since 1970: the greatest of its events' times clamped to
   * the commit time, counted from the transaction's beginning even where an earlier segment has it, or the idle clock
   * that a canary carries. -Infinity: nothing. The shard's clock is the running maximum of these (E13).
   */
  readonly clocks: Float64Array;
};

/** E8: every row of the table with a lower position is gone. */
export type Truncate = { readonly table: string; readonly position: Position; readonly transaction: number };

export const Operation = { insert: 1, update: 2, delete: 3 } as const;

/**
 * Row images of one table. `after`: inserted and updated rows, all columns, enriched ones included. `before`: what
 * updates and deletes took away, only the columns that folds, retractions and sort keys need. An update without a key
 * change has one position in both batches; a key change is a delete and then an insert, with a position each (E2).
 */
export type Batch = {
  /** The table's name in the definition: 'events', 'content'. */
  readonly table: string;
  readonly image: 'after' | 'before';
  readonly rows: number;
  /** Four words a row, see positionWords: a ClickHouse UInt128. Ascending. */
  readonly positions: Uint32Array;
  readonly operations: Uint8Array;
  /** For each transaction of the segment, the number of rows of this batch up to its end. */
  readonly transactionEnds: Uint32Array;
  readonly columns: ReadonlyMap<string, Vector>;
};

export function batchOf(segment: Segment, table: string, image: Batch['image']): Batch | undefined {
  return segment.batches.find((batch) => batch.table === table && batch.image === image);
}

/** Rows that it inserts or updates. */
export function rowsAfter({ batches }: Segment): number {
  return batches.reduce((sum, { image, rows }) => sum + (image === 'after' ? rows : 0), 0);
}
