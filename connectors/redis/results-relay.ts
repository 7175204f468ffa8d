import { readFileSync } from 'node:fs';
import type { Redis, Result } from 'ioredis';
import type { Pipeline } from '../../core/pipeline.ts';
import { redisPrefix } from '../../core/redis-keys.ts';
import type { State } from '../postgres/state/state.ts';
import type { OutboxMessage, Relay, ResultBody } from '../relay.ts';
import { FenceMoved } from '../sink.ts';
import { classified, connectRedis, demandNoEviction } from './client.ts';

/**
 * A view's newest published window in Redis: the ZSET `key` (members are keys, scores the measure that ranks; a key that has none,
 * its min or max being one of nothing, is left out) and, sharing its hash tag, the hashes `{key}:window` (view, start_ms, end_ms, revision, final), `{key}:labels` (one JSON object a member)
 * and `{key}:fence`. If Redis loses its state, the fence is missing and the lane begins with what the outbox still has.
 */
export class RedisResultsRelay implements Relay {
  readonly #redis: Redis;
  readonly #state: State;
  readonly #pipeline: string;
  readonly #lane: string;
  readonly #view: string;
  readonly #rankBy: string;
  readonly #key: string;
  readonly #prefix: string;

  constructor(state: State, pipeline: Pipeline, lane: string, url: string) {
    const sink = pipeline.sinks[lane];
    if (sink?.kind !== 'redis-results') throw new TypeError(`lane ${lane} of ${pipeline.name} is no leaderboard in Redis`);
    this.#redis = connectRedis(url);
    this.#redis.defineCommand('sluiceResults', { numberOfKeys: 1, lua: script });
    this.#state = state;
    this.#pipeline = pipeline.name;
    this.#lane = lane;
    this.#view = sink.view;
    this.#rankBy = pipeline.views[sink.view]!.rank.by;
    this.#key = sink.key;
    this.#prefix = redisPrefix(sink.key);
  }

  readFence(): Promise<number> {
    return classified(this.#key, async () => {
      await demandNoEviction(this.#redis);
      const fence = (await this.#redis.get(`${this.#prefix}:fence`)) ?? '0';
      if (fence === '0') return 0;
      // says nothing and moves nothing, but looks whether something was evicted: messages may be a day apart
      const [answer, found] = await this.#redis.sluiceResults(this.#key, this.#prefix, fence, fence, '0', '');
      return Number(answer === 'moved' ? found : fence);
    });
  }

  async publish(messages: readonly OutboxMessage[], from: number, to: number): Promise<void> {
    const { truncated, window } = newest(messages.filter(({ view }) => view === this.#view));
    const [answer, found] = await classified(this.#key, () => this.#redis.sluiceResults(this.#key, this.#prefix, String(from), String(to), truncated ? '1' : '0', window ? this.#shown(window) : ''));
    if (answer === 'moved') throw new FenceMoved(`lane ${this.#lane} of ${this.#pipeline}`, String(from), found);
    await this.#sayHowFar(to);
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }

  #shown({ windowStartMs, windowEndMs, revision, final, rows: all }: WindowBody): string {
    const rows = all.filter(({ measures }) => measures[this.#rankBy] !== null);
    return JSON.stringify({
      view: this.#view,
      end: windowEndMs,
      fields: ['start_ms', windowStartMs, 'end_ms', windowEndMs, 'revision', revision, 'final', final].map(String),
      members: rows.flatMap(({ key, measures }) => [measures[this.#rankBy], key]),
      labels: rows.flatMap(({ key, labels }) => [key, JSON.stringify(labels)]),
    });
  }

  /** So that the outbox can be trimmed; the fence itself is in Redis. */
  async #sayHowFar(seq: number): Promise<void> {
    await this.#state.query('insert into sluice.relay_fence (pipeline, lane, seq) values ($1, $2, $3) on conflict (pipeline, lane) do update set seq = excluded.seq', [this.#pipeline, this.#lane, seq]);
  }
}

type WindowBody = Exclude<ResultBody, { truncated: true }>;

/** What messages leave to show: the last word on the newest window, and whether all before was emptied. */
function newest(messages: readonly OutboxMessage[]): { truncated: boolean; window: WindowBody | undefined } {
  let truncated = false;
  let window: WindowBody | undefined;
  for (const { body } of messages) {
    if ('truncated' in body) {
      truncated = true;
      window = undefined;
    } else if (!window || body.windowEndMs >= window.windowEndMs) window = body;
  }
  return { truncated, window };
}

const script = ['evicted.lua', 'results.lua'].map((name) => readFileSync(new URL(name, import.meta.url), 'utf8')).join('\n');

declare module 'ioredis' {
  interface RedisCommander<Context> {
    sluiceResults(key: string, prefix: string, from: string, to: string, truncated: string, window: string): Result<['ok'] | ['moved', string], Context>;
  }
}
