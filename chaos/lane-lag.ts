import { setTimeout as sleep } from 'node:timers/promises';
import { type Lsn, parseLsn, parsePosition } from '../core/position.ts';
import type { World } from './world.ts';

/** Milliseconds; `marks`: how many moments they are of. */
export type Lag = { readonly p50: number; readonly p99: number; readonly most: number; readonly marks: number };

type Mark = { readonly atMs: number; readonly lsn: Lsn };

const markMs = 100;
const lookMs = 20;

/**
 * How far each lane is behind the source, seen from outside: ten times a second the end of the WAL is marked, and a lane
 * has reached a mark when the fence in its destination is at or above it. With a load that commits all the time.
 */
export class LaneLag {
  readonly #world: World;
  readonly #marks: Mark[] = [];
  /** Of each mark by its number. */
  readonly #reached: ReadonlyMap<string, number[]>;
  readonly #end = new AbortController();
  readonly #work: Promise<unknown>;

  constructor(world: World) {
    this.#world = world;
    this.#reached = new Map(world.fences.lanes.map((lane) => [lane, []]));
    this.#work = Promise.all([this.#mark(), ...world.fences.lanes.map((lane) => this.#follow(lane))]);
    this.#work.catch(() => {});
  }

  /** Of the marks between two moments (`performance.now`), for each lane. A mark that is not reached yet is as old as it is. */
  between(fromMs: number, toMs: number): Readonly<Record<string, Lag>> {
    const nowMs = performance.now();
    const lags: Record<string, Lag> = {};
    for (const [lane, reached] of this.#reached) {
      const each = this.#marks.flatMap(({ atMs }, index) => (atMs >= fromMs && atMs < toMs ? [(reached[index] ?? nowMs) - atMs] : [])).sort((a, b) => a - b);
      const at = (part: number) => each[Math.min(each.length - 1, Math.floor(each.length * part))] ?? Number.NaN;
      lags[lane] = { p50: at(0.5), p99: at(0.99), most: at(1), marks: each.length };
    }
    return lags;
  }

  /** Throws what kept it from measuring. */
  async stop(): Promise<void> {
    this.#end.abort();
    await this.#work;
  }

  async #mark(): Promise<void> {
    for (; !this.#end.signal.aborted; await this.#pause(markMs)) {
      const { rows } = await this.#world.source.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
      this.#marks.push({ atMs: performance.now(), lsn: parseLsn(rows[0]!.lsn) });
    }
  }

  async #follow(lane: string): Promise<void> {
    const reached = this.#reached.get(lane)!;
    for (; !this.#end.signal.aborted; await this.#pause(lookMs)) {
      const fence = await this.#world.fences.of(lane);
      if (fence === undefined) continue;
      const { lsn } = parsePosition(fence);
      const nowMs = performance.now();
      while (reached.length < this.#marks.length && this.#marks[reached.length]!.lsn <= lsn) reached.push(nowMs);
    }
  }

  #pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#end.signal }).catch(() => {});
  }
}
