import type { Position } from '../../core/position.ts';
import type { PaneSet } from '../../core/views/panes.ts';
import type { Rebuilding } from '../../core/views/rebuilding.ts';
import type { Clocks } from '../../core/views/watermark.ts';
import { noClock } from '../../core/views/watermark.ts';
import type { Published } from '../../core/views/windows.ts';
import type { ResultBody } from '../relay.ts';
import type { AggregateState, AggregateTransaction, PublishedWindow, Said } from './tables.ts';

export const aggregateLane = 'aggregate';

/**
 * What one transaction of the aggregate lane gathers beside panes: clock, changed panes, messages, windows. It is read
 * under the lock at the beginning and written with the fence at the end.
 */
export class Progress {
  clocks: Clocks;
  horizonMs: number;
  /** By pane set: closed panes that changed since windows were last looked at. */
  readonly dirty: Map<string, Set<number>>;
  /** The epoch of the load that made what is here; undefined: none yet. */
  readonly loadEpoch: number | undefined;
  rebuilding: readonly Rebuilding[];
  /** What is no apply has left closed panes without late changes, or without a min or max: the next apply tells of it. */
  isStale: boolean;
  windowsClosed = 0;
  late = 0;
  /** Panes that are closed, or close now, and have lost a min or max. */
  retracted = 0;
  #outboxSeq: number;
  #messages: Said[] = [];
  #windows = new Map<string, PublishedWindow>();

  constructor({ clockUs = noClock, loadedClockUs = noClock, horizonMs, dirty, loadEpoch, outboxSeq, rebuilding, isStale }: AggregateState) {
    this.clocks = { clock: clockUs, loaded: loadedClockUs };
    this.horizonMs = horizonMs;
    this.dirty = new Map(Object.entries(dirty).map(([set, panes]) => [set, new Set(panes)]));
    this.loadEpoch = loadEpoch;
    this.rebuilding = rebuilding;
    this.isStale = isStale;
    this.#outboxSeq = outboxSeq;
  }

  /** Whether relays can have seen anything of this pipeline. */
  get hasPublished(): boolean {
    return this.#outboxSeq > 0 || this.#messages.length > 0;
  }

  dirtyPanes(set: PaneSet): Set<number> {
    let panes = this.dirty.get(set.name);
    if (!panes) this.dirty.set(set.name, (panes = new Set()));
    return panes;
  }

  say(view: string, message: ResultBody): void {
    this.#messages.push({ view, message });
  }

  setWindow(view: string, endMs: number, published: Published): void {
    this.#windows.set(`${view} ${endMs}`, { ...published, view, endMs });
  }

  /** What this transaction has already said of a window. */
  windowOf(view: string, endMs: number): Published | undefined {
    return this.#windows.get(`${view} ${endMs}`);
  }

  /** Writes messages and windows, so that reads see them and memory stays small. */
  async flush(tables: AggregateTransaction): Promise<void> {
    if (this.#messages.length > 0) {
      await tables.say(this.#messages, this.#outboxSeq);
      this.#outboxSeq += this.#messages.length;
      this.#messages = [];
    }
    if (this.#windows.size > 0) {
      await tables.keepWindows([...this.#windows.values()]);
      this.#windows = new Map();
    }
  }

  /** The end of the transaction; with the fence, if that moves. */
  async finish(tables: AggregateTransaction, fence: Position | undefined, loadEpoch = this.loadEpoch): Promise<void> {
    await this.flush(tables);
    const { clocks, horizonMs, rebuilding, isStale } = this;
    await tables.write({ clockUs: finite(clocks.clock), loadedClockUs: finite(clocks.loaded), loadEpoch, horizonMs, outboxSeq: this.#outboxSeq, dirty: this.#dirtyPanes(), rebuilding, isStale }, fence);
  }

  #dirtyPanes(): AggregateState['dirty'] {
    const sets = [...this.dirty].filter(([, panes]) => panes.size > 0);
    return Object.fromEntries(sets.map(([set, panes]) => [set, [...panes].sort((a, b) => a - b)]));
  }
}

function finite(clock: number): number | undefined {
  return Number.isFinite(clock) ? clock : undefined;
}
