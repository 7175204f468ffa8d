import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis, Result } from 'ioredis';
import type { Position } from '../../core/position.ts';
import { parsePosition, toPosition } from '../../core/position.ts';
import type { PaneDeltas } from '../../core/views/panes.ts';
import { redisPrefix } from '../../core/redis-keys.ts';
import { ConfigurationError, FenceMoved } from '../sink.ts';
import { demandNoEviction } from './client.ts';

/** `of`, `by`: places of accumulators, from 1 as Lua counts. A quotient is of * factor / (by, or divisor). */
export type LiveMeasure =
  | { readonly kind: 'exact'; readonly of: number; readonly scale: number }
  | { readonly kind: 'quotient'; readonly of: number; readonly factor: number; readonly by: number; readonly scale: number }
  | { readonly kind: 'quotient'; readonly of: number; readonly factor: number; readonly divisor: number; readonly scale: number };

/** What the structure is made of: constant for a pipeline's definition. */
export type LiveShape = {
  readonly accumulators: number;
  readonly sizeMs: number;
  readonly paneMs: number;
  readonly score: LiveMeasure;
  readonly hash: readonly (LiveMeasure & { readonly field: string })[];
  /** The hash of member m is `{key}:<memberWord>:m`. */
  readonly memberWord: string;
  readonly memberTtlMs: number;
};

/** `truncated`: everything before the deltas is void. `endUs`: the rolling end, microseconds; undefined: not moved. */
export type LiveChange = { readonly truncated: boolean; readonly endUs: number | undefined; readonly deltas: Pick<PaneDeltas, 'panes' | 'keys' | 'values'> };

/** A rolling window that is kept current, and its fence. */
export interface LiveStructure {
  /** Undefined: there is no structure, or its keys were lost: it must be rebuilt. */
  readFence(): Promise<Position | undefined>;
  /** In one step with the fence. Throws FenceMoved, also if it was made anew since its fence was read last, StructureLost when the fence is there and its structures are not, or SumNotExact. */
  apply(change: LiveChange, from: Position, to: Position): Promise<void>;
  /** Another one after each swap. To be read before what the next swap is made of. */
  generation(): Promise<string>;
  /**
   * Replaces whatever is there, also if that is at a later position (the panes may be behind) but not what a later load has
   * made: those panes are no more. Throws FenceMoved then, or if it changed meanwhile, or if it was made anew since
   * `generation`, perhaps of newer panes, or SumNotExact.
   */
  swap(generation: string, deltas: LiveChange['deltas'], endUs: number | undefined, position: Position): Promise<void>;
  close(): void;
}

/**
 * A rolling window in Redis: the ZSET `key` and, sharing its hash tag, `{key}:fence`, `:generation` (there as long as the
 * structures are, and another one after each swap), `:evicted` (what the server had evicted then), `:end` (microseconds), `:panes` (which there are), `:pane:<start ms>` and `:total` (per member its
 * accumulators), and a hash a member. Every change is one call of live.lua (E11).
 */
export class RedisLiveStructure implements LiveStructure {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #prefix: string;
  readonly #shape: string;
  readonly #memberWord: string;
  /** Of the structure whose fence was read last. */
  #generation: string | undefined;

  constructor(redis: Redis, key: string, shape: LiveShape) {
    redis.defineCommand('sluiceLive', { numberOfKeys: 1, lua: script });
    this.#redis = redis;
    this.#key = key;
    this.#prefix = redisPrefix(key);
    this.#shape = JSON.stringify(shape);
    this.#memberWord = shape.memberWord;
  }

  async readFence(): Promise<Position | undefined> {
    await demandNoEviction(this.#redis);
    const [fence, generation] = await this.#redis.mget(`${this.#prefix}:fence`, `${this.#prefix}:generation`);
    this.#generation = generation ?? undefined;
    return fence != null && generation != null ? toPosition(fence) : undefined;
  }

  async apply(change: LiveChange, from: Position, to: Position): Promise<void> {
    const [answer, found, sum] = await this.#call('apply', from, to, { ...body(change), since: this.#generation });
    if (answer === 'moved') throw new FenceMoved(this.#key, from, found);
    if (answer === 'anew') throw new FenceMoved(this.#key, `generation ${this.#generation}`, `generation ${found}`);
    if (answer === 'taken') throw this.#taken(found);
    if (answer === 'large') throw new SumNotExact(Number(found) - 1, BigInt(sum!), `${this.#prefix}:generation`);
    if (answer === 'lost') throw new StructureLost(this.#key);
  }

  async generation(): Promise<string> {
    return (await this.#redis.get(`${this.#prefix}:generation`)) ?? '';
  }

  async swap(since: string, deltas: LiveChange['deltas'], endUs: number | undefined, position: Position): Promise<void> {
    const [fence, generation] = await this.#redis.mget(`${this.#prefix}:fence`, `${this.#prefix}:generation`);
    if (fence != null && generation != null && parsePosition(toPosition(fence)).epoch > parsePosition(position).epoch) throw new FenceMoved(this.#key, `one of the load at ${position}`, fence);
    const present = fence ?? '';
    const leftovers = [...(await this.#keys('pane')), ...(await this.#keys(this.#memberWord))];
    const own = randomUUID();
    const [answer, found, sum] = await this.#call('swap', present, position, { ...body({ truncated: true, endUs, deltas }), leftovers, since, generation: own });
    if (answer === 'moved') throw new FenceMoved(this.#key, present as Position, found);
    if (answer === 'anew') throw new FenceMoved(this.#key, `generation ${since}`, `generation ${found}`);
    if (answer === 'taken') throw this.#taken(found);
    if (answer === 'large') throw new SumNotExact(Number(found) - 1, BigInt(sum!), `${this.#prefix}:generation`);
    this.#generation = own;
  }

  close(): void {
    this.#redis.disconnect();
  }

  #taken(type: string | undefined): ConfigurationError {
    return new ConfigurationError(`Redis has a ${type} under the key ${this.#key}, which is to be a ZSET: somebody else uses it. Choose another key in the definition, or type: DEL ${this.#key}`);
  }

  async #call(mode: 'apply' | 'swap', expected: string, target: Position, change: object): Promise<LiveAnswer> {
    return this.#redis.sluiceLive(this.#key, this.#prefix, mode, expected, target, JSON.stringify(change), this.#shape);
  }

  /** Keys that a lost list of panes or members would leave behind. */
  async #keys(word: string): Promise<string[]> {
    const match = `${this.#prefix.replace(/[\\*?[\]]/g, '\\$&')}:${word}:*`;
    const found: string[] = [];
    for await (const keys of this.#redis.scanStream({ match, count: 1_000 })) found.push(...(keys as string[]));
    return found;
  }
}

/** Somebody deleted, evicted or lost the structures under a fence: they are rebuilt from the panes (I4). */
export class StructureLost extends Error {
  override readonly name = 'StructureLost';
  constructor(key: string) {
    super(`Redis, key ${key}: the fence is there, but its structures are gone; they are rebuilt from the panes`);
  }
}

/** A sum would be beyond what Redis' script reckons with. Nothing was written, and what is shown is that of the fence. */
export class SumNotExact extends Error {
  override readonly name = 'SumNotExact';
  /** Of the accumulator, from 0. */
  readonly place: number;
  /** About: beyond 2^53 it is rounded. */
  readonly sum: bigint;
  /** Without this key the structure counts as lost, and is made again out of the panes. */
  readonly generationKey: string;
  constructor(place: number, sum: bigint, generationKey: string) {
    super(`the sum of accumulator ${place} would be ${sum}, which is beyond 2^53`);
    this.place = place;
    this.sum = sum;
    this.generationKey = generationKey;
  }
}

/** See live.lua. */
type LiveAnswer = readonly [answer: string, found?: string, sum?: string];

function body({ truncated, endUs, deltas }: LiveChange) {
  return {
    truncated,
    endUs: endUs === undefined ? '' : String(endUs),
    panes: listOf(deltas.panes),
    keys: deltas.keys,
    values: deltas.values.map(listOf),
  };
}

/** As JSON takes it. Not spread: an iterator would make an object of each. */
function listOf(values: ArrayLike<number>): number[] {
  const list: number[] = [];
  for (let index = 0; index < values.length; index++) list.push(values[index]!);
  return list;
}

const script = ['evicted.lua', 'live.lua'].map((name) => readFileSync(new URL(name, import.meta.url), 'utf8')).join('\n');

declare module 'ioredis' {
  interface RedisCommander<Context> {
    sluiceLive(key: string, prefix: string, mode: string, expected: string, target: string, change: string, shape: string): Result<LiveAnswer, Context>;
  }
}
