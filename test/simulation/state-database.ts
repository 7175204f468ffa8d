import { createHash } from 'node:crypto';
import type { AggregateState, AggregateTables, AggregateTransaction, PublishedWindow, Said, WindowNow } from '../../connectors/aggregate/tables.ts';
import type { PendingRange, Range } from '../../connectors/http/pending.ts';
import type { DimensionRow, DimensionVersions } from '../../connectors/postgres/dimensions-at.ts';
import type { Confirmed } from '../../connectors/postgres/shard-state.ts';
import type { PaneSnapshot } from '../../connectors/redis/live.ts';
import type { OutboxMessage, Relay, ResultBody } from '../../connectors/relay.ts';
import { FenceMoved } from '../../connectors/sink.ts';
import { TransientError } from '../../connectors/transient-error.ts';
import { postgresText } from '../../core/columns/postgres-text.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { positionAt } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { Operation } from '../../core/segment.ts';
import type { Aside } from '../../core/views/fold.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import type { PaneDeltas, PaneSet } from '../../core/views/panes.ts';
import { accumulatorsOf, measuresOf } from '../../core/views/results.ts';
import type { SimulatedProcess } from './scheduler.ts';
import type { Trouble } from './trouble.ts';

type Version = { readonly position: Position; readonly row: DimensionRow | null };
type LateRow = { readonly set: string; readonly pane: number; readonly key: string; readonly position: Position; readonly reason: string; readonly deltas: number[] };

/** What a pipeline keeps in the state database. Every call is one atomic step there. */
export class StateDatabase {
  readonly pipeline: Pipeline;
  readonly #trouble: Trouble;
  readonly fences = new Map<string, Position>();
  aggregate: AggregateState = { clockUs: undefined, loadedClockUs: undefined, loadEpoch: undefined, horizonMs: 0, outboxSeq: 0, dirty: {} };
  /** By set: sums by `pane key`. */
  readonly panes = new Map<string, Map<string, number[]>>();
  readonly late = new Map<string, LateRow>();
  readonly versions = new Map<string, Map<string, Version[]>>();
  readonly windows = new Map<string, PublishedWindow>();
  readonly outbox: OutboxMessage[] = [];
  relayFence = 0;
  /** The results table: the last word on each window. */
  readonly results = new Map<number, Exclude<ResultBody, { truncated: true }>>();
  pending: (Range & { readonly messageId: string }) | undefined;
  confirmed: Confirmed | undefined;

  constructor(pipeline: Pipeline, trouble: Trouble) {
    this.pipeline = pipeline;
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
        const transaction = new Transaction(this);
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
          this.pending = undefined;
          this.fences.set(lane, position);
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

  /** Panes with the late deltas that belong to them, all as of one fence. */
  paneSnapshot(process: SimulatedProcess, view: string): Promise<PaneSnapshot> {
    return this.call(process, () => {
      const set = paneSetsOf(this.pipeline).find(({ views }) => views.some(({ name }) => name === view))!;
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
    const [late, windows, outbox] = [[...this.late], [...this.windows], this.outbox.length];
    const versions = [...this.versions].map(([name, keys]) => [name, [...keys].map(([key, list]) => [key, [...list]] as const)] as const);
    return () => {
      this.aggregate = aggregate;
      if (fence !== undefined) this.fences.set('aggregate', fence);
      refill(this.panes, panes);
      refill(this.late, late);
      refill(this.windows, windows);
      this.outbox.length = outbox;
      refill(this.versions, versions.map(([name, keys]) => [name, new Map(keys)] as const));
    };
  }
}

class Transaction implements AggregateTransaction {
  readonly #state: StateDatabase;
  readonly #sets: readonly PaneSet[];
  isWritten = false;

  constructor(state: StateDatabase) {
    this.#state = state;
    this.#sets = paneSetsOf(state.pipeline);
  }

  async lockFence(expected: Position): Promise<void> {
    const found = this.#state.fences.get('aggregate');
    if (found !== expected) throw new FenceMoved('lane aggregate', expected, found);
  }

  async readFence(): Promise<Position | undefined> {
    return this.#state.fences.get('aggregate');
  }

  async setFence(position: Position): Promise<void> {
    this.#state.fences.set('aggregate', position);
  }

  async lock(): Promise<AggregateState> {
    return this.#state.aggregate;
  }

  async write(state: AggregateState, fence: Position | undefined): Promise<void> {
    this.#state.aggregate = state;
    if (fence !== undefined) this.#state.fences.set('aggregate', fence);
    this.isWritten = true;
  }

  async keepDimensions(segments: readonly Segment[], from: Position, to: Position): Promise<void> {
    for (const [name, table] of Object.entries(this.#state.pipeline.source.dimensions)) {
      const kept = mapIn(this.#state.versions, name);
      const put = (key: string, version: Version) => kept.set(key, [...(kept.get(key) ?? []).filter(({ position }) => position !== version.position), version].sort((a, b) => (a.position < b.position ? -1 : 1)));
      for (const { batches, truncates } of segments) {
        for (const { table: of, image, rows, positions, operations, columns } of batches) {
          if (of !== name) continue;
          for (let row = 0; row < rows; row++) {
            const position = positionAt(positions, row);
            if (position <= from || position > to) continue;
            const key = postgresText(columns.get(table.key)!, row)!;
            if (image === 'after') put(key, { position, row: Object.fromEntries(Object.keys(table.columns).map((column) => [column, postgresText(columns.get(column)!, row)])) });
            else if (operations[row] === Operation.delete) put(key, { position, row: null });
          }
        }
        for (const truncate of truncates) {
          if (truncate.table !== name || truncate.position <= from || truncate.position > to) continue;
          for (const [key, versions] of kept) if (newestAt(versions, truncate.position)?.row) put(key, { position: truncate.position, row: null });
        }
      }
    }
  }

  async addToPanes({ name }: PaneSet, { panes, keys, values, count }: PaneDeltas): Promise<void> {
    const kept = mapIn(this.#state.panes, name);
    for (let entry = 0; entry < count; entry++) {
      const at = `${panes[entry]} ${keys[entry]}`;
      kept.set(at, values.map((sums, place) => (kept.get(at)?.[place] ?? 0) + sums[entry]!));
    }
  }

  async setAside({ name }: PaneSet, aside: readonly Aside[]): Promise<void> {
    for (const { reason, position, deltas } of aside) {
      for (let entry = 0; entry < deltas.count; entry++) {
        const row = { set: name, pane: deltas.panes[entry]!, key: deltas.keys[entry]!, position, reason };
        const at = Object.values(row).join(' ');
        const before = this.#state.late.get(at)?.deltas;
        this.#state.late.set(at, { ...row, deltas: deltas.values.map((values, place) => (before?.[place] ?? 0) + values[entry]!) });
      }
    }
  }

  async clearPanes({ name }: PaneSet): Promise<void> {
    this.#state.panes.delete(name);
    for (const [at, { set }] of this.#state.late) if (set === name) this.#state.late.delete(at);
  }

  async panesBetween({ name }: PaneSet, from: number, before: number): Promise<readonly number[]> {
    const starts = new Set([...mapIn(this.#state.panes, name).keys()].map(paneOf));
    return [...starts].filter((start) => start >= from && start < before).sort((a, b) => a - b);
  }

  async readWindows(viewName: string, ends: readonly number[], at: Position): Promise<readonly WindowNow[]> {
    const set = this.#sets.find(({ views }) => views.some(({ name }) => name === viewName))!;
    const view = set.views.find(({ name }) => name === viewName)!;
    const places = accumulatorsOf(view);
    const [rankPlace] = view.measures[view.rankBy]!.accumulators;
    const labels = Object.entries(this.#state.pipeline.views[viewName]!.labels);
    return ends.map((endMs) => {
      const sums = new Map<string, number[]>();
      for (const [entry, values] of this.#state.panes.get(set.name) ?? []) {
        const pane = paneOf(entry);
        if (pane < endMs - view.window.sizeMs || pane >= endMs) continue;
        const key = keyOf(entry);
        sums.set(key, values.map((value, place) => (sums.get(key)?.[place] ?? 0) + value));
      }
      const top = [...sums]
        .filter(([, values]) => places.some((place) => values[place] !== 0))
        .sort(([a, left], [b, right]) => right[rankPlace!]! - left[rankPlace!]! || Buffer.compare(Buffer.from(a), Buffer.from(b)))
        .slice(0, view.top);
      const { revision, final, digest } = this.#state.windows.get(`${viewName} ${endMs}`) ?? {};
      return {
        endMs,
        digest: top.length === 0 ? '' : createHash('md5').update(JSON.stringify(top.map(([key, values]) => [key, places.map((place) => values[place])]))).digest('hex'),
        published: revision === undefined ? undefined : { revision, final: final!, digest: digest! },
        rows: top.map(([key, values], index) => ({
          rank: index + 1,
          key,
          measures: measuresOf(set, view, values.map(String)),
          labels: Object.fromEntries(labels.map(([label, { dimension, column }]) => [label, newestAt(this.#state.versions.get(dimension)?.get(key) ?? [], at)?.row?.[column] ?? null])),
        })),
      };
    });
  }

  async openWindows(view: string, upTo: number): Promise<readonly number[]> {
    return [...this.#state.windows.values()].filter((window) => window.view === view && !window.final && window.endMs <= upTo).map(({ endMs }) => endMs);
  }

  async keepWindows(windows: readonly PublishedWindow[]): Promise<void> {
    for (const window of windows) this.#state.windows.set(`${window.view} ${window.endMs}`, window);
  }

  async emptyWindows(): Promise<void> {
    for (const [at, window] of this.#state.windows) if (window.digest !== '') this.#state.windows.set(at, { ...window, revision: window.revision + 1, digest: '' });
  }

  async say(messages: readonly Said[], after: number): Promise<void> {
    messages.forEach(({ view, message }, index) => this.#state.outbox.push({ seq: after + 1 + index, view, body: message }));
  }

  async trim(): Promise<void> {}
  async takeChunk(): Promise<boolean> {
    return true;
  }
  async forgetChunks(): Promise<void> {}
  async forget(): Promise<void> {}
}

function newestAt(versions: readonly Version[], at: Position): Version | undefined {
  return versions.findLast(({ position }) => position <= at);
}

export function paneOf(entry: string): number {
  return Number(entry.slice(0, entry.indexOf(' ')));
}

export function keyOf(entry: string): string {
  return entry.slice(entry.indexOf(' ') + 1);
}

function mapIn<K, V>(maps: Map<string, Map<K, V>>, name: string): Map<K, V> {
  let map = maps.get(name);
  if (!map) maps.set(name, (map = new Map()));
  return map;
}

function refill<K, V>(map: Map<K, V>, entries: Iterable<readonly [K, V]>): void {
  const kept = [...entries];
  map.clear();
  for (const [key, value] of kept) map.set(key, value);
}
