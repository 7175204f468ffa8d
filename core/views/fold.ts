import { eventsTable } from '../capture/assembler.ts';
import type { Int64Vector, Vector } from '../columns/vector.ts';
import { State, int64At } from '../columns/vector.ts';
import { evaluate } from '../expressions/kernels.ts';
import type { Rows } from '../expressions/rows.ts';
import type { ScaledValues } from '../expressions/scaled.ts';
import type { EventTable } from '../pipeline.ts';
import type { Position } from '../position.ts';
import { parsePosition, position, rowsUpTo } from '../position.ts';
import type { Batch, Segment } from '../segment.ts';
import { batchOf } from '../segment.ts';
import { batchValues } from './batch-values.ts';
import { BucketSlots } from './bucket-slots.ts';
import { extremesOf, sumsOf, touch, type Extreme } from './extremes.ts';
import { KeySlots } from './key-slots.ts';
import { PaneTable } from './pane-table.ts';
import type { PaneDeltas, PaneSet } from './panes.ts';

/** Transactions `fromTransaction` up to, not including, `toTransaction` of a segment; of these the events in (after, upTo]. */
export type FoldRange = {
  readonly fromTransaction: number;
  readonly toTransaction: number;
  readonly after?: Position | undefined;
  readonly upTo?: Position | undefined;
  /** Panes that begin before this are closed for good: their events go aside as late. */
  readonly closedBeforeMs?: number;
  /** Panes that are being computed anew: what changes in them is also kept by transaction (E18). */
  readonly rebuilding?: PaneRange | undefined;
};

/** Panes that begin at `fromMs` or later, and before `toMs`. */
export type PaneRange = { readonly fromMs: number; readonly toMs: number };

/** `kept` is in `deltas` too, `aside` is not. */
export type Folded = { readonly deltas: PaneDeltas; readonly aside: readonly Aside[]; readonly kept: readonly OfTransaction[] };

/** What one transaction changes. */
export type OfTransaction = { /** Of the transaction: its ordinal is 0. */ readonly position: Position; readonly rows: number; readonly deltas: PaneDeltas };

/** In panes that views no longer take (late), or not yet (beyond maxFuture, E13). */
export type Aside = OfTransaction & { readonly reason: AsideReason };
export type AsideReason = 'late' | 'future';

/**
 * Folds events into panes: rows of `after` add, rows of `before` take away (from an extreme as Accumulator says). Rows without
 * an event time or a key, or with an infinite time, do not count. Nothing depends on how segments are cut or in how many pieces
 * they are added (I6).
 */
export class Folder {
  readonly #eventTime: string;
  readonly #set: PaneSet;
  readonly #sums: readonly number[];
  readonly #extremes: readonly Extreme[];
  readonly #paneUs: number;
  readonly #maxFutureUs: number;
  readonly #keys = new KeySlots();
  readonly #buckets: BucketSlots | undefined;
  #table: PaneTable;
  #byTransaction = new Map<string, { reason: AsideReason | 'kept'; position: Position; rows: number; table: PaneTable }>();
  #prepared = new Map<Batch, Prepared>();
  #segment: Segment | undefined;
  /** Used again from segment to segment. */
  readonly #slots: Record<Batch['image'], Int32Array> = { after: new Int32Array(0), before: new Int32Array(0) };

  constructor(events: EventTable, set: PaneSet, maxFutureMs: number) {
    this.#eventTime = events.eventTime;
    this.#set = set;
    this.#sums = sumsOf(set);
    this.#extremes = extremesOf(set);
    this.#buckets = set.buckets && new BucketSlots(set.buckets);
    this.#paneUs = set.paneMs * 1000;
    this.#maxFutureUs = maxFutureMs * 1000;
    this.#table = new PaneTable(set.accumulators);
  }

  add(segment: Segment, range: FoldRange): void {
    if (segment !== this.#segment) {
      this.#segment = segment;
      this.#prepared.clear();
    }
    for (const image of ['after', 'before'] as const) {
      const batch = batchOf(segment, eventsTable, image);
      if (batch) this.#addBatch(segment, batch, image === 'after' ? 1 : -1, range);
    }
  }

  /** What was added since the last take. */
  take(): Folded {
    const { paneMs } = this.#set;
    const { texts } = this.#buckets ?? this.#keys;
    const byTransaction = Array.from(this.#byTransaction.values(), ({ table, ...each }) => ({ ...each, deltas: table.deltas(paneMs, texts) })).filter(({ deltas }) => deltas.count > 0);
    const folded: Folded = {
      deltas: this.#table.deltas(paneMs, texts),
      aside: byTransaction.filter((each): each is Aside => each.reason !== 'kept'),
      kept: byTransaction.filter(({ reason }) => reason === 'kept'),
    };
    if (!this.#table.isEmpty) this.#table = new PaneTable(this.#set.accumulators);
    this.#byTransaction.clear();
    if (Math.max(this.#keys.texts.length, this.#buckets?.size ?? 0) > mostKeys) {
      this.#keys.clear();
      this.#buckets?.clear();
      this.#prepared.clear();
    }
    return folded;
  }

  /** Lets go of what was added since, which was too much. */
  clear(): void {
    this.#table = new PaneTable(this.#set.accumulators);
    this.#byTransaction.clear();
  }

  #addBatch(segment: Segment, batch: Batch, sign: 1 | -1, range: FoldRange): void {
    const { transactions } = segment;
    const first = range.after === undefined ? 0 : rowsUpTo(batch.positions, batch.rows, range.after);
    const last = range.upTo === undefined ? batch.rows : rowsUpTo(batch.positions, batch.rows, range.upTo);
    const rowsBefore = (transaction: number) => (transaction === 0 ? 0 : batch.transactionEnds[transaction - 1]!);
    const from = Math.max(first, rowsBefore(range.fromTransaction));
    const to = Math.min(last, rowsBefore(range.toTransaction));
    if (from >= to) return;

    const prepared = this.#prepare(batch);
    const entries = new Int32Array(to - from).fill(-1);
    const { closedBeforeMs = Number.NEGATIVE_INFINITY, rebuilding = none } = range;
    const inPanes = (ms: number) => ms / this.#set.paneMs;
    for (let transaction = range.fromTransaction; transaction < range.toTransaction; transaction++) {
      const start = Math.max(from, rowsBefore(transaction));
      const end = Math.min(to, rowsBefore(transaction + 1));
      if (start < end) {
        const bounds = { closedBefore: inPanes(closedBeforeMs), futureUs: transactions.commitTimes[transaction]! + this.#maxFutureUs, keptFrom: inPanes(rebuilding.fromMs), keptTo: inPanes(rebuilding.toMs) };
        this.#locate(prepared, entries, from, start, end, bounds, (reason, pane, row) => {
          this.#tell(segment, transaction, reason, prepared, pane, row, sign);
        });
      }
    }
    this.#accumulate(prepared, entries, from, sign);
  }

  /** Finds each row's entry in the table. */
  #locate(prepared: Prepared, entries: Int32Array, base: number, start: number, end: number, bounds: PaneBounds, tell: (reason: AsideReason | 'kept', pane: number, row: number) => void): void {
    const { slots, time, passes } = prepared;
    const { words, states } = time;
    const { closedBefore, futureUs, keptFrom, keptTo } = bounds;
    const paneUs = this.#paneUs;
    const table = this.#table;
    for (let row = start; row < end; row++) {
      const slot = slots[row]!;
      if (slot < 0) continue;
      if (states !== undefined && states[row] !== State.value) continue;
      if (passes !== undefined && passes[row] === 0) continue;
      const high = words[row * 2 + 1]!;
      const us = high * 4294967296 + (words[row * 2]! >>> 0);
      if (high === 0x7fffffff || high === -0x80000000) continue;
      const pane = high >= unsafeHigh || high < -unsafeHigh ? exactPane(words, row, paneUs) : Math.floor(us / paneUs);
      if (us > futureUs) tell('future', pane, row);
      else if (pane < closedBefore) tell('late', pane, row);
      else {
        entries[row - base] = table.entry(pane, slot);
        if (pane >= keptFrom && pane < keptTo) tell('kept', pane, row);
      }
    }
  }

  #accumulate(prepared: Prepared, entries: Int32Array, base: number, sign: 1 | -1): void {
    const { sums } = this.#table;
    for (const place of this.#sums) {
      const values = prepared.values[place];
      if (values === undefined) addCounts(sums[place]!, entries, sign);
      else addValues(sums[place]!, entries, values, base, sign);
    }
    for (const extreme of this.#extremes) addExtremes(sums, extreme, entries, prepared.values[extreme.value]!, base, sign);
  }

  #tell(segment: Segment, transaction: number, reason: AsideReason | 'kept', prepared: Prepared, pane: number, row: number, sign: 1 | -1): void {
    const { lsns } = segment.transactions;
    const identity = `${reason} ${lsns[transaction * 2 + 1]!} ${lsns[transaction * 2]!}`;
    let told = this.#byTransaction.get(identity);
    if (!told) {
      const lsn = (BigInt(lsns[transaction * 2 + 1]!) << 32n) | BigInt(lsns[transaction * 2]!);
      const { epoch } = parsePosition(segment.header.to);
      told = { reason, position: position(epoch, lsn, 0), rows: 0, table: new PaneTable(this.#set.accumulators, 16) };
      this.#byTransaction.set(identity, told);
    }
    told.rows++;
    const entry = told.table.entry(pane, prepared.slots[row]!);
    const { sums } = told.table;
    for (const place of this.#sums) sums[place]![entry]! += sign * (prepared.values[place]?.[row] ?? 1);
    for (const { value, rows, isGreatest } of this.#extremes) {
      const own = prepared.values[value]![row]!;
      if (!Number.isNaN(own)) touch(sums[value]!, sums[rows]!, entry, own, sign, isGreatest);
    }
  }

  #prepare(batch: Batch): Prepared {
    let prepared = this.#prepared.get(batch);
    if (!prepared) {
      prepared = this.#prepareBatch(batch);
      this.#prepared.set(batch, prepared);
    }
    return prepared;
  }

  #prepareBatch(batch: Batch): Prepared {
    const { key, where, accumulators } = this.#set;
    const column = (name: string): Vector => {
      const found = batch.columns.get(name);
      if (!found) throw new TypeError(`the ${batch.image} rows of ${batch.table} have no column ${name}: view ${this.#set.name} cannot be folded`);
      return found;
    };
    const rows: Rows = { length: batch.rows, column: (_, name) => column(name) };
    const time = column(this.#eventTime);
    if (time.layout !== 'int64') throw new TypeError(`the event time ${this.#eventTime} is not a timestamp`);
    const slots = (this.#slots[batch.image] = this.#keys.slotsOf(column(key), this.#slots[batch.image]));
    return {
      time,
      slots: this.#buckets?.divide(slots, this.#keys.texts, batch, rows) ?? slots,
      passes: where && conditionOf(evaluate(where, rows)),
      values: accumulators.map((accumulator) => {
        switch (accumulator.kind) {
          case 'sum':
            return batchValues(batch, accumulator.of, accumulator.scale, rows).values;
          case 'count':
            return accumulator.of && countable(batchValues(batch, accumulator.of, accumulator.ofScale, rows).states, batch.rows);
          case 'min':
          case 'max':
            return valuesOrNaN(batchValues(batch, accumulator.of, accumulator.scale, rows));
          case 'rows':
            return undefined;
        }
      }),
    };
  }
}

/** A batch's columns as folds need them. `values`: undefined counts every row; of an extreme, NaN is no value. */
type Prepared = {
  readonly time: Int64Vector;
  readonly slots: Int32Array;
  readonly passes: Uint8Array | undefined;
  readonly values: readonly (Float64Array | undefined)[];
};

/** In pane lengths since 1970; `futureUs` in microseconds. */
type PaneBounds = { readonly closedBefore: number; readonly futureUs: number; readonly keptFrom: number; readonly keptTo: number };

const none: PaneRange = { fromMs: Number.POSITIVE_INFINITY, toMs: Number.NEGATIVE_INFINITY };

const mostKeys = 200_000;

/** High words from here on (year 2255), and below its negative, do not fit a double exactly. */
const unsafeHigh = 2_097_152;

function exactPane(words: Int32Array, row: number, paneUs: number): number {
  const us = int64At(words, row);
  const length = BigInt(paneUs);
  return Number(us / length - (us % length < 0n ? 1n : 0n));
}

function conditionOf(vector: Vector): Uint8Array {
  if (vector.layout !== 'number') throw new TypeError('a filter must be a boolean');
  const { values, states } = vector;
  return Uint8Array.from(values, (value, row) => (value === 1 && (states === undefined || states[row] === State.value) ? 1 : 0));
}

function countable(states: Uint8Array | undefined, rows: number): Float64Array | undefined {
  return states && Float64Array.from({ length: rows }, (_, row) => (states[row] === State.value ? 1 : 0));
}

/** `values` are others' too, who take nothing to be 0. */
function valuesOrNaN({ values, states }: ScaledValues): Float64Array {
  return states ? values.map((value, row) => (states[row] === State.value ? value : Number.NaN)) : values;
}

function addCounts(sums: Float64Array, entries: Int32Array, sign: number): void {
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index]!;
    if (entry >= 0) sums[entry]! += sign;
  }
}

function addValues(sums: Float64Array, entries: Int32Array, values: Float64Array, base: number, sign: number): void {
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index]!;
    if (entry >= 0) sums[entry]! += sign * values[base + index]!;
  }
}

function addExtremes(sums: readonly Float64Array[], extreme: Extreme, entries: Int32Array, values: Float64Array, base: number, sign: number): void {
  const [kept, rows] = [sums[extreme.value]!, sums[extreme.rows]!];
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index]!;
    const value = values[base + index]!;
    if (entry >= 0 && !Number.isNaN(value)) touch(kept, rows, entry, value, sign, extreme.isGreatest);
  }
}
