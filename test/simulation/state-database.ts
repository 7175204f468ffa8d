import type { AggregateState, AggregateTables, PublishedWindow } from '../../connectors/aggregate/tables.ts';
import type { PendingRange, Range } from '../../connectors/http/pending.ts';
import type { DimensionRow, DimensionVersions } from '../../connectors/postgres/dimensions-at.ts';
import type { Confirmed } from '../../connectors/postgres/shard-state.ts';
import type { DueRebuilds, PaneSnapshot } from '../../connectors/redis/live.ts';
import type { OutboxMessage, Relay, ResultBody } from '../../connectors/relay.ts';
import { FenceMoved } from '../../connectors/sink.ts';
import { TransientError } from '../../connectors/transient-error.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { AsideReason, PaneRange } from '../../core/views/fold.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import type { PaneSet } from '../../core/views/panes.ts';
import type { SimulatedProcess } from './scheduler.ts';
import { SchemaChanges } from './state-changes.ts';
import { keyOf, newestAt, paneOf, StateTransaction } from './state-transaction.ts';
import type { Trouble } from './trouble.ts';

export type Version = { readonly position: Position; readonly row: DimensionRow | null };
type LateRow = { readonly set: string; readonly pane: number; readonly key: string; readonly position: Position; readonly reason: AsideReason; readonly deltas: number[] };

/** What a pipeline keeps in the state database. Every call is one atomic step there. */
export class StateDatabase {
  readonly pipeline: Pipeline;
  readonly sets: readonly PaneSet[];
  readonly #trouble: Trouble;
  readonly fences = new Map<string, Position>();
  aggregate: AggregateState = { clockUs: undefined, loadedClockUs: undefined, loadEpoch: undefined, horizonMs: 0, outboxSeq: 0, dirty: {}, rebuilding: [], isStale: false };
  /** By set: sums by `pane key`. */
  readonly panes = new Map<string, Map<string, number[]>>();
  readonly late = new Map<string, LateRow>();
  readonly kept = new Map<string, Omit<LateRow, 'reason'>>();
  /** Up to where a lane was truncated, written before it does so. */
  readonly voided = new Map<string, Position>();
  readonly bases: (PaneRange & { readonly set: string; readonly base: Position })[] = [];
  readonly versions = new Map<string, Map<string, Version[]>>();
  readonly windows = new Map<string, PublishedWindow>();
  readonly outbox: OutboxMessage[] = [];
  relayFence = 0;
  /** The results table: the last word on each window. */
  readonly results = new Map<number, Exclude<ResultBody, { truncated: true }>>();
  pending: (Range & { readonly messageId: string }) | undefined;
  confirmed: Confirmed | undefined;
  readonly changes: SchemaChanges;
  /** Of the live structure: how often it was put on record that it must be made anew, and up to which of them it was. */
  rebuildsNoted = 0;
  rebuildsDone = 0;

  constructor(pipeline: Pipeline, trouble: Trouble) {
    this.pipeline = pipeline;
    this.sets = paneSetsOf(pipeline);
    this.changes = new SchemaChanges(pipeline);
    this.#trouble = trouble;
  }

  call<T>(process: SimulatedProcess, effect: () => T): Promise<T> {
    return this.#trouble.call(process, 'state', effect);
  }

  aggregateTables(process: SimulatedProcess): AggregateTables {
    return {
      readFence: () => this.call(process, () => this.fences.get('aggregate')),
      // between these two calls only the transaction itself runs: nobody else sees it half done
      transaction: async (work) => {
        await this.call(process, () => {});
        const transaction = new StateTransaction(this);
        const undo = this.#copy();
        try {
          const result = await work(transaction);
          await this.call(process, () => {});
          return result;
        } catch (error) {
          if (!transaction.isWritten) undo();
          throw error;
        }
      },
    };
  }

  versionsFor(process: SimulatedProcess): DimensionVersions {
    return {
      fence: () => this.call(process, () => this.fences.get('aggregate')),
      rowsAt: (dimension, at) => this.call(process, () => this.rowsAt(dimension, at)),
    };
  }

  rowsAt(dimension: string, at: Position): ReadonlyMap<string, DimensionRow> {
    const rows = new Map<string, DimensionRow>();
    for (const [key, versions] of this.versions.get(dimension) ?? []) {
      const row = newestAt(versions, at)?.row;
      if (row) rows.set(key, row);
    }
    return rows;
  }

  pendingFor(process: SimulatedProcess, lane: string): PendingRange {
    const move = (from: Position, to: Position) => {
      if (this.fences.get(lane) !== from) return false;
      this.fences.set(lane, to);
      return true;
    };
    return {
      readFence: () => this.call(process, () => this.fences.get(lane)),
      read: () => this.call(process, () => this.pending && { from: this.pending.from, to: this.pending.to }),
      record: (range, messageId) =>
        this.call(process, () => {
          if (this.fences.get(lane) !== range.from) return false;
          this.pending = { ...range, messageId };
          return true;
        }),
      complete: ({ from, to }, next) =>
        this.call(process, () => {
          const moved = move(from, to);
          if (next) this.pending = moved ? { from: to, to: next.to, messageId: next.messageId } : this.pending;
          else if (this.pending?.from === from) this.pending = undefined;
          return moved;
        }),
      begin: (position) =>
        this.call(process, () => {
          const fence = this.fences.get(lane);
          if (fence !== undefined && fence >= position) return fence === position;
          this.pending = undefined;
          this.fences.set(lane, position);
          return true;
        }),
      close: async () => {},
    };
  }

  relayFor(process: SimulatedProcess, view: string): Relay {
    return {
      readFence: () => this.call(process, () => this.relayFence),
      publish: (messages, from, to) =>
        this.call(process, () => {
          if (this.relayFence !== from) throw new FenceMoved('lane out', String(from), String(this.relayFence));
          for (const message of messages) {
            if (message.view !== view) continue;
            if ('truncated' in message.body) this.results.clear();
            else this.results.set(message.body.windowEndMs, message.body);
          }
          this.relayFence = to;
        }),
      close: async () => {},
    };
  }

  rebuildsFor(process: SimulatedProcess): DueRebuilds {
    return {
      due: () => this.call(process, () => (this.rebuildsNoted > this.rebuildsDone ? [String(this.rebuildsNoted)] : [])),
      done: ([due]) => this.call(process, () => void (this.rebuildsDone = Math.max(this.rebuildsDone, Number(due ?? 0)))),
    };
  }

  /** Panes with the late deltas that belong to them, all as of one fence. */
  paneSnapshot(process: SimulatedProcess, view: string): Promise<PaneSnapshot> {
    return this.call(process, () => {
      const set = this.sets.find(({ views }) => views.some(({ name }) => name === view))!;
      const sums = new Map<string, number[]>();
      const add = (at: string, values: readonly number[]) => sums.set(at, (sums.get(at) ?? values.map(() => 0)).map((sum, place) => sum + values[place]!));
      for (const [at, values] of this.panes.get(set.name) ?? []) add(at, values);
      for (const row of this.late.values()) if (row.set === set.name && row.reason === 'late') add(`${row.pane} ${row.key}`, row.deltas);
      const fence = this.fences.get('aggregate');
      if (fence === undefined) throw new TransientError('the aggregate lane is not loaded yet');
      const entries = [...sums];
      return {
        fence,
        clockUs: this.aggregate.clockUs,
        panes: {
          count: entries.length,
          panes: Float64Array.from(entries, ([at]) => paneOf(at)),
          keys: entries.map(([at]) => keyOf(at)),
          values: set.accumulators.map((_, place) => Float64Array.from(entries, ([, values]) => values[place]!)),
        },
      };
    });
  }

  /** Returns what puts everything back that a transaction can change. */
  #copy(): () => void {
    const { aggregate } = this;
    const fence = this.fences.get('aggregate');
    const panes = [...this.panes].map(([name, sums]) => [name, new Map(sums)] as const);
    const [late, kept, windows, outbox, bases] = [[...this.late], [...this.kept], [...this.windows], this.outbox.length, this.bases.length];
    const versions = [...this.versions].map(([name, keys]) => [name, [...keys].map(([key, list]) => [key, [...list]] as const)] as const);
    return () => {
      this.aggregate = aggregate;
      if (fence !== undefined) this.fences.set('aggregate', fence);
      refill(this.panes, panes);
      refill(this.late, late);
      refill(this.kept, kept);
      this.bases.length = bases;
      refill(this.windows, windows);
      this.outbox.length = outbox;
      refill(this.versions, versions.map(([name, keys]) => [name, new Map(keys)] as const));
    };
  }
}

function refill<K, V>(map: Map<K, V>, entries: Iterable<readonly [K, V]>): void {
  const kept = [...entries];
  map.clear();
  for (const [key, value] of kept) map.set(key, value);
}
