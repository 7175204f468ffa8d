import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import type { Config } from '../core/config.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { medianOf } from './lines.ts';
import { writerName } from './meter.ts';

/** A row that is looked for: when COMMIT returned at the client (`performance.now`), and how long until the first poll saw it. */
export type Mark = { readonly atMs: number; readonly latencyMs: number };
export type MarkedSink = 'redis' | 'clickhouse';

export type MarksOptions = { readonly config: Config; readonly pipeline: Pipeline; readonly sink: MarkedSink; readonly signal: AbortSignal };

/** `place`: among those of its content. */
type Written = { readonly content: string; readonly place: number; readonly id: string; readonly eventMs: number; readonly atMs: number };

/** Rows written one after another into engagement, until they are enough, and the moments at which a sink had each. */
export class Marks {
  readonly #options: MarksOptions;
  readonly #client: Client;
  readonly #written: Written[] = [];
  readonly #seenMs: number[] = [];
  readonly #work: Promise<unknown>;
  #enough = false;

  static async start(options: MarksOptions): Promise<Marks> {
    const client = new Client({ connectionString: options.config.sourceUrl, application_name: writerName });
    client.on('error', () => {}); // the next query says it
    await client.connect();
    return new Marks(options, client);
  }

  private constructor(options: MarksOptions, client: Client) {
    this.#options = options;
    this.#client = client;
    this.#work = Promise.all([this.#write(), this.#watch()]).finally(() => client.end());
    this.#work.catch(() => {}); // `finish` says it
  }

  /** So many have been written. */
  async count(marks: number): Promise<void> {
    while (this.#written.length < marks) await Promise.race([wait(spacingMs, undefined, { signal: this.#options.signal }), this.#failure()]);
  }

  /** Writes no more, and waits for those that are on their way. */
  async finish(): Promise<Mark[]> {
    this.#enough = true;
    await this.#work;
    return this.#written.map(({ atMs }, index) => ({ atMs, latencyMs: Math.max(0, this.#seenMs[index]! - atMs) }));
  }

  async #failure(): Promise<void> {
    await this.#work;
  }

  async #write(): Promise<void> {
    const { signal } = this.#options;
    let content = '';
    for (let mark = 0; !this.#enough; mark++) {
      const place = mark % marksOfContent;
      if (place === 0) content = await this.#newContent();
      const eventMs = Date.now();
      const { rows } = await this.#client.query<{ id: string }>(
        "insert into public.engagement_events (content_id, event_type, event_ts, duration_ms, device) values ($1, 'play', $2, 1000, 'marked') returning id::text",
        [content, new Date(eventMs).toISOString()],
      );
      this.#written.push({ content, place, id: rows[0]!.id, eventMs, atMs: performance.now() });
      await wait(spacingMs + (mark % 7), undefined, { signal }); // not in step with the linger
    }
  }

  /** Content of its own: its score tells how many of its rows have come. */
  async #newContent(): Promise<string> {
    const content = crypto.randomUUID();
    await this.#client.query("insert into public.content (id, slug, title, content_type, publish_ts) values ($1::uuid, 'marked-' || $1, 'Marked rows', 'video', now())", [content]);
    return content;
  }

  async #watch(): Promise<void> {
    const { sink, signal } = this.#options;
    const poll = sink === 'redis' ? this.#redis() : this.#clickhouse();
    try {
      while (!this.#enough || this.#seenMs.length < this.#written.length) {
        const first = this.#written[this.#seenMs.length];
        const more = first === undefined ? 0 : await poll.more(first);
        const now = performance.now();
        for (let index = 0; index < more; index++) this.#seenMs.push(now);
        const oldest = this.#written[this.#seenMs.length];
        if (oldest && now - oldest.atMs > longestMs) throw new Error(`A marked row was not in ${sink} ${longestMs / 1000} s after it was written.`);
        await wait(pollMs[sink], undefined, { signal });
      }
    } finally {
      await poll.close();
    }
  }

  /** Each row raises its content's score by one. */
  #redis(): Poll {
    const { config, pipeline } = this.#options;
    const redis = new Redis(config.redisUrl);
    const live = Object.values(pipeline.sinks).find((sink) => sink.kind === 'redis-live')!;
    return {
      more: async ({ content, place }) => Number((await redis.zscore(live.key, content)) ?? 0) - place,
      close: async () => redis.disconnect(),
    };
  }

  #clickhouse(): Poll {
    const { config, pipeline } = this.#options;
    const clickhouse = createClient({ url: config.clickhouseUrl });
    const { table } = Object.values(pipeline.sinks).find((sink) => sink.kind === 'clickhouse')!;
    return {
      // the table is sorted by event time: what was seen is not read again, however much the load writes
      more: async ({ content, id, eventMs }) => {
        const result = await clickhouse.query({
          query: `SELECT uniqExact(id) AS count FROM ${table} WHERE event_ts >= fromUnixTimestamp64Milli({since:Int64}) AND content_id = {content:UUID} AND id >= {id:Int64} SETTINGS max_threads = 1`,
          query_params: { content, id, since: eventMs },
          format: 'JSONEachRow',
        });
        return Number((await result.json<{ count: string }>())[0]!.count);
      },
      close: () => clickhouse.close(),
    };
  }
}

/** `more`: how many of the marks from `first` on, of its content, are there. */
type Poll = { more(first: Written): Promise<number>; close(): Promise<void> };

export type Percentiles = { readonly p50: number; readonly p99: number; readonly most: number };

/** Of latencies, in milliseconds. */
export function percentiles(marks: readonly Mark[]): Percentiles {
  const sorted = marks.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), most: at(1) };
}

/** Each percentile's median over several runs. */
export function medianPercentiles(runs: readonly Percentiles[]): Percentiles {
  const of = (read: (run: Percentiles) => number) => medianOf(runs.map(read))!;
  return { p50: of(({ p50 }) => p50), p99: of(({ p99 }) => p99), most: of(({ most }) => most) };
}

// a look takes ClickHouse's processor from what is measured
const pollMs = { redis: 5, clickhouse: 10 } satisfies Record<MarkedSink, number>;
const spacingMs = 12;
/** About two minutes: what has left the ten minutes of the view raises no score. */
const marksOfContent = 8_000;
const longestMs = 30_000;
