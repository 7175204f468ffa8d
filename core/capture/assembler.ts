import type { Vector } from '../columns/vector.ts';
import { State, int64AsNumber } from '../columns/vector.ts';
import { TimestampColumn } from '../columns/wide-columns.ts';
import { evaluate } from '../expressions/kernels.ts';
import type { Pipeline } from '../pipeline.ts';
import type { Lsn, Position } from '../position.ts';
import { lsnText, parsePosition, position } from '../position.ts';
import { Operation } from '../segment.ts';
import type { Batch, Segment, Truncate } from '../segment.ts';
import { DimensionJoin } from './dimension-join.ts';
import type { DimensionStore } from './dimension-store.ts';
import { keyAt } from './dimension-store.ts';
import { RowWriter } from './row-writer.ts';
import { TransactionLog } from './transaction-log.ts';

export const eventsTable = 'events';

/** What a writer has room for at first: it grows, and keeps what it grew to. */
const firstRows = 256;

/** The two batches of a table. */
export type TableWriters = { readonly name: string; readonly key: string; readonly after: RowWriter; readonly before: RowWriter };

export type AssembledSegment = Omit<Segment, 'bytes'> & {
  /** End LSN of the segment's last transaction, if that is complete: what may be confirmed once all lanes have it (E6). */
  readonly endLsn: Lsn | undefined;
};

/**
 * Turns the stream's events into segments: numbers them (E2), joins dimensions in stream order (E16), keeps the
 * transactions' clocks (E13) and cuts. A row is first read into a writer at its place `rows`, then declared with
 * `inserted`, `updated` or `deleted`; events at or below `from` were spooled before and are dropped (E6).
 *
 * A cut inside a transaction comes before its next event, never before its commit: so every segment has a position above
 * its predecessor's, and no lane can skip the one that carries the transaction's end.
 */
export class SegmentAssembler {
  readonly tables: ReadonlyMap<string, TableWriters>;
  readonly #options: AssemblerOptions;
  readonly #joins: ReadonlyMap<string, DimensionJoin>;
  readonly #events: TableWriters;
  readonly #eventTime: TimestampColumn;
  readonly #transactions = new TransactionLog();
  #truncates: Truncate[] = [];
  #from: Position;
  #to: Position;
  #seq: number;
  #endLsn: Lsn | undefined;
  #eventLsnHigh = 0;
  #eventLsnLow = 0;
  readonly #fromLsn: Lsn;
  readonly #fromOrdinal: number;
  #pastFrom = false;

  // the running transaction
  #open = false;
  #lsnHigh = 0;
  #lsnLow = 0;
  #commitTime = 0;
  #ordinal = 0;
  #skipOrdinals = 0;
  #clock = Number.NEGATIVE_INFINITY;
  #taken = false;

  constructor(options: AssemblerOptions) {
    this.#options = options;
    ({ lsn: this.#fromLsn, ordinal: this.#fromOrdinal } = parsePosition(options.from));
    this.#from = options.from;
    this.#to = options.from;
    this.#seq = options.seq;
    const { source } = options.pipeline;
    const writers = (name: string, schema: typeof source.events | (typeof source.dimensions)[string], before: readonly string[]): TableWriters => ({
      name,
      key: schema.key,
      after: new RowWriter(name, 'after', schema, Object.keys(schema.columns), firstRows),
      before: new RowWriter(name, 'before', schema, before, firstRows),
    });
    this.#events = writers(eventsTable, source.events, options.beforeColumns);
    this.tables = new Map([
      [eventsTable, this.#events],
      ...Object.entries(source.dimensions).map(([name, schema]) => [name, writers(name, schema, [schema.key])] as const),
    ]);
    this.#joins = new Map([...options.dimensions].map(([name, store]) => [name, new DimensionJoin(store)]));
    const eventTime = this.#events.after.columns.get(source.events.eventTime);
    if (!(eventTime instanceof TimestampColumn)) throw new TypeError(`the event time ${source.events.eventTime} must be a timestamp`);
    this.#eventTime = eventTime;
  }

  get rows(): number {
    let rows = 0;
    for (const { after, before } of this.tables.values()) rows += Math.max(after.rows, before.rows);
    return rows;
  }

  /** There are transactions to cut, and none is open. */
  get ready(): boolean {
    return !this.#open && this.#transactions.count > 0;
  }

  /** Of the newest transaction, microseconds since 1970. */
  get commitTime(): number {
    return this.#commitTime;
  }

  /** The next event is not one that was spooled before. */
  get takesNext(): boolean {
    return this.#options.snapshot === true || this.#ordinal + 1 > this.#skipOrdinals;
  }

  get inTransaction(): boolean {
    return this.#open;
  }

  begin(lsnHigh: number, lsnLow: number, commitTime: number): void {
    this.#open = true;
    this.#lsnHigh = lsnHigh;
    this.#lsnLow = lsnLow;
    this.#commitTime = commitTime;
    this.#ordinal = 0;
    this.#taken = false;
    this.#clock = Number.NEGATIVE_INFINITY;
    if (this.#pastFrom) return;
    const lsn = (BigInt(lsnHigh) << 32n) | BigInt(lsnLow);
    this.#pastFrom = lsn > this.#fromLsn;
    this.#skipOrdinals = this.#pastFrom ? -1 : lsn === this.#fromLsn ? this.#fromOrdinal : Number.POSITIVE_INFINITY;
  }

  /** Call before a row is read: cuts if the running segment is full. */
  makeRoom(full: boolean): AssembledSegment | undefined {
    return full && this.#transactions.count + (this.#taken ? 1 : 0) > 0 ? this.#cut() : undefined;
  }

  inserted(table: TableWriters): void {
    this.#after(table, Operation.insert);
  }

  /** `keyChanged`: the update is a delete and an insert, with a position each (E2). */
  updated(table: TableWriters, keyChanged: boolean): void {
    if (keyChanged) {
      this.deleted(table);
      this.inserted(table);
      return;
    }
    const taken = this.#after(table, Operation.update);
    if (taken) table.before.commit(this.#options.epoch, this.#lsnHigh, this.#lsnLow, this.#ordinal, Operation.update);
  }

  deleted(table: TableWriters): void {
    if (!this.#next()) return;
    const { before } = table;
    before.commit(this.#options.epoch, this.#lsnHigh, this.#lsnLow, this.#ordinal, Operation.delete);
    const join = this.#joins.get(table.name);
    if (join) {
      this.#resolve(join);
      join.store.remove(keyAt(before.columns.get(table.key)!.vector(before.rows), before.rows - 1));
    }
  }

  truncated(table: TableWriters): void {
    if (!this.#next()) return;
    this.#truncates.push({ table: table.name, position: this.#position(), transaction: this.#transactions.count });
    const join = this.#joins.get(table.name);
    if (join) {
      this.#resolve(join);
      join.store.clear();
    }
  }

  /** An idle clock inside the stream (E13). */
  canary(clock: number): void {
    if (this.#skipOrdinals >= 0) return;
    this.#taken = true;
    this.#clock = Math.max(this.#clock, clock);
  }

  /** What WAL LSN the event just declared has. Throws StreamDiverged if the chain's last event had another. */
  eventLsn(high: number, low: number): void {
    this.#eventLsnHigh = high;
    this.#eventLsnLow = low;
    if (this.#ordinal !== this.#skipOrdinals) return;
    const expected = this.#options.tailEventLsn;
    if (expected !== undefined && expected !== this.#eventLsnText()) throw new StreamDiverged(this.#options.from, expected, this.#eventLsnText());
  }

  commit(endLsn: Lsn): void {
    this.#open = false;
    if (!this.#taken) return;
    this.#endTransaction(true);
    this.#endLsn = endLsn;
    this.#taken = false;
  }

  /** The segment of what came since the last cut. Its vectors are views of reused memory: encode it before the next event. */
  cut(): AssembledSegment {
    if (!this.ready) throw new RangeError('nothing to cut, or a transaction is open');
    return this.#cut();
  }

  /** After a segment was encoded: its memory is used again. */
  release(): void {
    for (const { after, before } of this.tables.values()) {
      after.reset();
      before.reset();
    }
    for (const join of this.#joins.values()) join.reset();
    this.#transactions.reset();
    this.#truncates = [];
  }

  #after(table: TableWriters, operation: number): boolean {
    if (!this.#next()) return false;
    const { after } = table;
    const row = after.rows;
    after.commit(this.#options.epoch, this.#lsnHigh, this.#lsnLow, this.#ordinal, operation);
    if (table === this.#events) return true;
    const join = this.#joins.get(table.name)!;
    this.#resolve(join);
    join.store.put(new Map([...after.columns].map(([name, column]) => [name, column.vector(row + 1)])), row);
    return true;
  }

  /** Counts an event; false if it was spooled before. */
  #next(): boolean {
    if (this.#options.snapshot) return (this.#taken = true);
    this.#ordinal++;
    // the clock counts from the transaction's beginning, also over events of an earlier segment
    return this.#ordinal > this.#skipOrdinals ? (this.#taken = true) : false;
  }

  /** Takes the event time of the event row just read; call it for every after-image, dropped ones included. */
  clockRow(): void {
    const row = this.#options.snapshot || this.#ordinal > this.#skipOrdinals ? this.#events.after.rows - 1 : this.#events.after.rows;
    if (this.#eventTime.states[row] !== State.value) return;
    const high = this.#eventTime.words[row * 2 + 1]!;
    if (high === 0x7fffffff || high === -0x80000000) return;
    const time = int64AsNumber(this.#eventTime.words, row);
    if (time > this.#commitTime + this.#options.pipeline.settings.maxFutureMs * 1000) return;
    const clamped = Math.min(time, this.#commitTime);
    if (clamped > this.#clock) this.#clock = clamped;
  }

  #resolve(join: DimensionJoin): void {
    const on = this.#events.after.columns.get(join.store.table.on)!;
    join.resolve(on.vector(this.#events.after.rows), this.#events.after.rows);
  }

  #eventLsnText(): string {
    return this.#eventLsnHigh.toString(16).padStart(8, '0') + this.#eventLsnLow.toString(16).padStart(8, '0');
  }

  #position(): Position {
    return position(this.#options.epoch, (BigInt(this.#lsnHigh) << 32n) | BigInt(this.#lsnLow), this.#ordinal);
  }

  #endTransaction(complete: boolean): void {
    for (const { after, before } of this.tables.values()) {
      after.endTransaction(this.#transactions.count);
      before.endTransaction(this.#transactions.count);
    }
    this.#transactions.add({
      lsnLow: this.#lsnLow,
      lsnHigh: this.#lsnHigh,
      commitTime: this.#commitTime,
      lastOrdinal: this.#ordinal,
      complete,
      clock: this.#clock,
    });
    this.#to = this.#position();
  }

  #cut(): AssembledSegment {
    const { pipeline, shard, captureId, shape = 0 } = this.#options;
    if (this.#open && this.#taken) {
      this.#endTransaction(false);
      this.#endLsn = undefined;
    }
    for (const join of this.#joins.values()) this.#resolve(join);
    const count = this.#transactions.count;
    const batches: Batch[] = [];
    for (const table of this.tables.values()) {
      if (table.after.rows > 0) batches.push(table.after.batch(count, table === this.#events ? this.#enriched(pipeline) : []));
      if (table.before.rows > 0) batches.push(table.before.batch(count));
    }
    const segment: AssembledSegment = {
      header: {
        shard,
        seq: this.#seq,
        kind: 'events',
        captureId,
        from: this.#from,
        to: this.#to,
        lastEventLsn: this.#eventLsnText(),
        ...(shape > 0 ? { shape } : {}),
        ...(this.#endLsn === undefined ? {} : { endLsn: lsnText(this.#endLsn) }),
      },
      transactions: this.#transactions.view(),
      truncates: this.#truncates,
      batches,
      endLsn: this.#endLsn,
    };
    this.#seq++;
    this.#from = this.#to;
    return segment;
  }

  *#enriched(pipeline: Pipeline): Iterable<readonly [string, Vector]> {
    const { after } = this.#events;
    const rows = {
      length: after.rows,
      column: (table: string, column: string): Vector => {
        if (table === eventsTable) return after.columns.get(column)!.vector(after.rows);
        const join = this.#joins.get(table)!;
        return join.store.column(column, join.slots, after.rows);
      },
    };
    for (const [name, expression] of Object.entries(pipeline.row)) {
      if (expression.op === 'column' && expression.table === eventsTable && expression.column === name) continue;
      yield [name, evaluate(expression, rows)];
    }
  }
}

export type AssemblerOptions = {
  readonly pipeline: Pipeline;
  readonly shard: string;
  readonly captureId: string;
  readonly epoch: number;
  /** Where the chain ends: the first segment's `from`. */
  readonly from: Position;
  readonly seq: number;
  /** Columns of the event table that `before` images carry. */
  readonly beforeColumns: readonly string[];
  /** As of `from`. */
  readonly dimensions: ReadonlyMap<string, DimensionStore>;
  /** WAL LSN of the event at `from`, if it is known. */
  readonly tailEventLsn?: string | undefined;
  /** How many migrations the pipeline's columns have gone through. */
  readonly shape?: number;
  /** The rows are a snapshot's: all of them have ordinal 0, and nothing is dropped (E2, E28). */
  readonly snapshot?: boolean;
};

/** The source's stream no longer has the event that the chain ends with: it was restored, or failed over badly (E6). */
export class StreamDiverged extends Error {
  override readonly name = 'StreamDiverged';
  constructor(from: Position, expected: string, found: string) {
    super(`the event at ${from} was at WAL ${expected}, and the source now sends one from WAL ${found} in its place`);
  }
}
