import { RedisLiveStructure } from '../../connectors/redis/live-structure.ts';
import { livePlan } from '../../connectors/redis/live-shape.ts';
import { connectRedis } from '../../connectors/redis/client.ts';
import { RedisResultsRelay } from '../../connectors/redis/results-relay.ts';
import type { PartDetail } from '../../activities/progress.ts';
import { resolve } from '../../core/define/resolve.ts';
import { position } from '../../core/position.ts';
import { pipelines } from '../../pipelines/index.ts';
import type { ApiInstance } from './instance.ts';

const environment = { SLUICE_EXTERNAL_URL: 'http://127.0.0.1:1', SLUICE_EXTERNAL_SECRET: 'whsec_dGVzdA==' };

/** What the lanes of the two pipelines leave behind, written by the lanes' own code. */
export class Published implements AsyncDisposable {
  readonly #api: ApiInstance;
  readonly #redis;
  readonly #live: RedisLiveStructure;
  readonly #relays;
  #lsn = 1n;
  #seq = { dashboard: 0, leaderboard: 0 };

  constructor(api: ApiInstance) {
    const { config, state } = api;
    const engagement = resolve(pipelines['engagement']!, environment);
    const trending = resolve(pipelines['trending']!, environment);
    const sink = engagement.sinks['live']!;
    if (sink.kind !== 'redis-live') throw new TypeError('the sink live is no live sink');
    this.#api = api;
    this.#redis = connectRedis(config.redisUrl);
    this.#live = new RedisLiveStructure(this.#redis, sink.key, livePlan(engagement, sink).shape);
    this.#relays = {
      dashboard: new RedisResultsRelay(state, trending, 'dashboard', config.redisUrl),
      leaderboard: new RedisResultsRelay(state, engagement, 'leaderboard', config.redisUrl),
    };
  }

  /** Plays by content, in the newest pane. */
  async plays(atMs: number, plays: Readonly<Record<string, number>>): Promise<void> {
    const keys = Object.keys(plays);
    const counts = Float64Array.from(Object.values(plays));
    const none = new Float64Array(keys.length);
    const scaled = counts.map((each) => each * 10);
    const deltas = {
      panes: new Float64Array(keys.length).fill(Math.floor(atMs / 10_000) * 10_000),
      keys,
      values: [scaled, counts, none, none, none],
    };
    const present = await this.#live.readFence();
    const next = position(1, this.#lsn++, 0);
    if (present === undefined) await this.#live.swap('', deltas, atMs * 1_000, next);
    else await this.#live.apply({ truncated: false, endUs: atMs * 1_000, deltas }, present, next);
  }

  /** A window's result through its relay. */
  async window(
    lane: 'dashboard' | 'leaderboard',
    endMs: number,
    revision: number,
    scores: readonly (readonly [key: string, title: string, score: number])[],
  ): Promise<void> {
    const [view, measure, sizeMs] =
      lane === 'dashboard' ? ['trending', 'views', 10_000] : ['leaderboard', 'score', 60_000];
    const rows = scores.map(([key, title, score], index) => ({
      rank: index + 1,
      key,
      measures: { [measure]: String(score) },
      labels: { title },
    }));
    const body = { windowStartMs: endMs - sizeMs, windowEndMs: endMs, revision, final: false, rows };
    const seq = this.#seq[lane]++;
    await this.#relays[lane].publish([{ seq: seq + 1, view, body }], seq, seq + 1);
  }

  async title(id: string, title: string, lsn = this.#lsn++): Promise<void> {
    await this.#api.state.query(
      "insert into sluice.dimension_version (pipeline, dimension, key, position, row) values ('engagement', 'content', $1, $2, $3)",
      [id, position(1, lsn, 1), { id, title }],
    );
  }

  async progress(pipeline: string, part: string, detail: Partial<PartDetail>): Promise<void> {
    const whole: PartDetail = {
      fence: position(1, this.#lsn, 0),
      eventsPerSecond: 0,
      commitTimeMs: Date.now(),
      lagMs: 30,
      watermarkMs: null,
      error: null,
      ...detail,
    };
    await this.#api.state.query(
      'insert into sluice.progress (pipeline, part, detail) values ($1, $2, $3) on conflict (pipeline, part) do update set detail = excluded.detail, reported_at = now()',
      [pipeline, part, whole],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#redis.disconnect();
    await Promise.all(Object.values(this.#relays).map((relay) => relay.close()));
  }
}
