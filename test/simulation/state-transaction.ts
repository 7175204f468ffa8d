import { createHash } from 'node:crypto';
import type { AggregateState, AggregateTransaction, PublishedWindow, Said, WindowNow } from '../../connectors/aggregate/tables.ts';
import { FenceMoved } from '../../connectors/sink.ts';
import { postgresText } from '../../core/columns/postgres-text.ts';
import type { Position } from '../../core/position.ts';
import { positionAt } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { Operation } from '../../core/segment.ts';
import { extremesOf, sumsOf } from '../../core/views/extremes.ts';
import type { Aside, OfTransaction, PaneRange } from '../../core/views/fold.ts';
import type { PaneDeltas, PaneSet, PaneView } from '../../core/views/panes.ts';
import { accumulatorsOf, bucketMeasuresOf, measuresOf, presenceOf } from '../../core/views/results.ts';
import { toldBy } from './state-buckets.ts';
import type { StateDatabase, Version } from './state-database.ts';

/** The aggregate lane's transaction on the simulated state database. */
export class StateTransaction implements AggregateTransaction {
  readonly #state: StateDatabase;
  isWritten = false;

  constructor(state: StateDatabase) {
    this.#state = state;
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

  /** Nothing is refused here. */
  async forgetLetters(): Promise<void> {}

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

  async addToPanes(set: PaneSet, { panes, keys, values, count }: PaneDeltas): Promise<readonly number[]> {
    const kept = mapIn(this.#state.panes, set.name);
    const lost = new Set<number>();
    for (let entry = 0; entry < count; entry++) {
      const at = `${panes[entry]} ${keys[entry]}`;
      kept.set(at, merged(set, kept.get(at), values.map((sums) => sums[entry]!)));
      if (hasLost(set, kept.get(at)!)) lost.add(panes[entry]!);
    }
    return [...lost];
  }

  async setAside(set: PaneSet, aside: readonly Aside[]): Promise<void> {
    for (const each of aside) addRows(this.#state.late, set, each, { reason: each.reason });
  }

  async keepChanges(set: PaneSet, kept: readonly OfTransaction[]): Promise<void> {
    for (const each of kept) addRows(this.#state.kept, set, each, {});
  }

  async replacePanes(set: PaneSet, { fromMs, toMs }: PaneRange, panes: PaneDeltas, base: Position): Promise<void> {
    const isIn = (pane: number) => pane >= fromMs && pane < toMs;
    const now = mapIn(this.#state.panes, set.name);
    for (const at of now.keys()) if (isIn(paneOf(at))) now.delete(at);
    await this.addToPanes(set, panes);
    for (const [at, { set: of, pane, key, position, deltas }] of this.#state.kept) {
      if (of !== set.name || !isIn(pane)) continue;
      if (position >= base) await this.addToPanes(set, { count: 1, panes: Float64Array.of(pane), keys: [key], values: deltas.map((delta) => Float64Array.of(delta)) });
      this.#state.kept.delete(at);
    }
    for (const [at, { set: of, pane, position }] of this.#state.late) if (of === set.name && isIn(pane) && position < base) this.#state.late.delete(at);
    this.#state.bases.push({ set: set.name, fromMs, toMs, base });
  }

  async noteLiveRebuilds(lanes: readonly string[]): Promise<void> {
    this.#state.rebuildsNoted += lanes.length;
  }

  async mayReplace(): Promise<boolean> {
    return true;
  }

  async forgetChanges({ name }: PaneSet): Promise<void> {
    for (const [at, { set }] of this.#state.kept) if (set === name) this.#state.kept.delete(at);
  }

  async basesOf({ name }: PaneSet, panes: Iterable<number>): Promise<ReadonlyMap<number, Position>> {
    const found = new Map<number, Position>();
    for (const pane of panes) {
      const base = this.#state.bases.filter(({ set, fromMs, toMs }) => set === name && fromMs <= pane && pane < toMs).map((each) => each.base).sort().at(-1);
      if (base !== undefined) found.set(pane, base);
    }
    return found;
  }

  async clearPanes({ name }: PaneSet): Promise<void> {
    this.#state.panes.delete(name);
    for (const [at, { set }] of this.#state.late) if (set === name) this.#state.late.delete(at);
    for (const [at, { set }] of this.#state.kept) if (set === name) this.#state.kept.delete(at);
  }

  async panesBetween({ name }: PaneSet, from: number, before: number): Promise<readonly number[]> {
    const starts = new Set([...mapIn(this.#state.panes, name).keys()].map(paneOf));
    return [...starts].filter((start) => start >= from && start < before).sort((a, b) => a - b);
  }

  async latePanes({ name }: PaneSet, from: number, before: number): Promise<readonly number[]> {
    const starts = new Set([...this.#state.late.values()].filter(({ set, pane }) => set === name && pane >= from && pane < before).map(({ pane }) => pane));
    return [...starts].sort((a, b) => a - b);
  }

  async retractedPanes(set: PaneSet, from: number, before: number): Promise<readonly number[]> {
    const lost = [...mapIn(this.#state.panes, set.name)].filter(([, values]) => hasLost(set, values)).map(([entry]) => paneOf(entry));
    return [...new Set(lost)].filter((pane) => pane >= from && pane < before).sort((a, b) => a - b);
  }

  async readWindows(viewName: string, ends: readonly number[], at: Position): Promise<readonly WindowNow[]> {
    const set = this.#state.sets.find(({ views }) => views.some(({ name }) => name === viewName))!;
    const view = set.views.find(({ name }) => name === viewName)!;
    const places = accumulatorsOf(view);
    const labels = Object.entries(this.#state.pipeline.views[viewName]!.labels);
    return ends.map((endMs) => {
      const entries = new Map<string, (readonly [entry: string, values: readonly number[]])[]>();
      for (const [stored, values] of this.#state.panes.get(set.name) ?? []) {
        const pane = paneOf(stored);
        if (pane < endMs - view.window.sizeMs || pane >= endMs) continue;
        const entry = keyOf(stored);
        const key = set.buckets ? keyOf(entry) : entry;
        const own = entries.get(key);
        if (own) own.push([entry, values]);
        else entries.set(key, [[entry, values]]);
      }
      const top = [...entries]
        .map(([key, own]): OfKey => ({ key, values: own.map(([, values]) => shownOf(set, values)).reduce((one, other) => merged(set, one, other)), told: toldBy(set, view, own) }))
        .filter(({ values }) => presenceOf(view).some((place) => values[place] !== 0))
        .sort((left, right) => scoreOf(view, right) - scoreOf(view, left) || Buffer.compare(Buffer.from(left.key), Buffer.from(right.key)))
        .slice(0, view.top);
      const { revision, final, digest } = this.#state.windows.get(`${viewName} ${endMs}`) ?? {};
      return {
        endMs,
        digest: top.length === 0 ? '' : createHash('md5').update(JSON.stringify(top.map(({ key, values, told }) => [key, places.map((place) => values[place]), told]))).digest('hex'),
        published: revision === undefined ? undefined : { revision, final: final!, digest: digest! },
        rows: top.map(({ key, values, told }, index) => ({
          rank: index + 1,
          key,
          measures: measuresOf(set, view, values.map(textOf), told.map(textOf)),
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

type KeptRow = { readonly set: string; readonly pane: number; readonly key: string; readonly position: Position; readonly deltas: number[] };

/** What a window has of it. */
type OfKey = { readonly key: string; readonly values: readonly number[]; readonly told: readonly (number | null)[] };

function scoreOf(view: PaneView, { values, told }: OfKey): number {
  const place = bucketMeasuresOf(view).findIndex(({ name }) => name === view.rankBy);
  return (place < 0 ? values[view.measures[view.rankBy]!.accumulators[0]!] : told[place]) ?? Number.NEGATIVE_INFINITY;
}

function textOf(value: number | null): string | null {
  return value === null || Number.isNaN(value) ? null : String(value);
}

/** Two parts of a pane, in whatever order. */
function merged(set: PaneSet, one: readonly number[] | undefined, other: readonly number[]): number[] {
  if (!one) return [...other];
  const both = [...one];
  for (const place of sumsOf(set)) both[place]! += other[place]!;
  for (const { value, rows, isGreatest } of extremesOf(set)) {
    const [mine, others] = [one[value]!, other[value]!];
    if (mine === others) both[rows]! += other[rows]!;
    else if (Number.isNaN(mine) || (isGreatest ? others > mine : others < mine)) [both[value], both[rows]] = [others, other[rows]!];
  }
  return both;
}

function hasLost(set: PaneSet, values: readonly number[]): boolean {
  return extremesOf(set).some(({ rows, inputs }) => values[rows]! <= 0 && values[inputs] !== 0);
}

/** A pane without rows that have a value has no extreme any more. */
function shownOf(set: PaneSet, values: readonly number[]): number[] {
  const shown = [...values];
  for (const { value, inputs } of extremesOf(set)) if (values[inputs] === 0) shown[value] = Number.NaN;
  return shown;
}

/** Rows of the same transaction, pane and key are merged. */
function addRows<T extends object>(rows: Map<string, KeptRow & T>, set: PaneSet, { position, deltas }: OfTransaction, more: T): void {
  for (let entry = 0; entry < deltas.count; entry++) {
    const row = { set: set.name, pane: deltas.panes[entry]!, key: deltas.keys[entry]!, position, ...more };
    const at = Object.values(row).join(' ');
    const before = rows.get(at)?.deltas;
    rows.set(at, { ...row, deltas: merged(set, before, deltas.values.map((values) => values[entry]!)) });
  }
}

export function newestAt(versions: readonly Version[], at: Position): Version | undefined {
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
