import { createServer } from 'node:http';
import { createClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { applyAround, type Letters } from '../../activities/apply-around.ts';
import { openSink, type OpenSink } from '../../activities/open-destination.ts';
import { DeadLetters } from '../../connectors/postgres/dead-letters.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState, type State } from '../../connectors/postgres/state/state.ts';
import { parseConfig, type Config } from '../../core/config.ts';
import { resolve } from '../../core/define/resolve.ts';
import { Tally } from '../../core/dead-letters/tally.ts';
import type { Pipeline, Settings } from '../../core/pipeline.ts';
import { position, type Position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { ReceiverStore } from '../../infra/receiver/store.ts';
import engagement from '../../pipelines/engagement.ts';
import { services, throwAwayClickhouse, throwAwayDatabase, throwAwayRedis } from '../embedded/services.ts';
import { listen, secret } from '../sinks/servers.ts';
import { endOf } from '../sinks/stream.ts';

export const zero = position(1, 0n, 0);

export type LetterRow = { id: number; lane: string; position: Position; op: string; key: string; reason: string; state: string; content: Record<string, Record<string, string | null>> };

/** The real sinks of the engagement pipeline, and an external system and a ClickHouse table that refuse the device `poison`. */
export class LettersWorld implements AsyncDisposable {
  readonly config: Config;
  readonly environment: Readonly<Record<string, string>>;
  readonly state: State;
  readonly pipeline: Pipeline;
  readonly receiver: ReceiverStore;
  /** What was posted and accepted. */
  readonly posted: { id: string; body: string }[];
  readonly redis: Redis;
  /** Whether the external system refuses anything. */
  readonly external: { refuses: boolean };
  readonly #stack: AsyncDisposableStack;
  readonly #opened = new Map<string, OpenSink>();

  static async open(settings: Partial<Settings> = {}): Promise<LettersWorld> {
    const stack = new AsyncDisposableStack();
    const database = stack.use(await throwAwayDatabase());
    const [redis, clickhouse] = [stack.use(await throwAwayRedis()), stack.use(await throwAwayClickhouse())];
    const store = stack.adopt(new ReceiverStore(':memory:'), (each) => each.close());
    const [posted, external] = [[] as { id: string; body: string }[], { refuses: true }];
    const server = createServer(async (request, response) => {
      const body = Buffer.concat(await request.toArray());
      if (external.refuses && body.includes('"device":"poison"')) return response.writeHead(422).end('device: poison is none of ours\0');
      const id = String(request.headers['webhook-id']);
      posted.push({ id, body: body.toString() });
      store.accept(id, body);
      return response.writeHead(200).end();
    });
    const { address } = stack.use(await listen(server));
    const environment = { SLUICE_SOURCE_URL: database.url, SLUICE_STATE_URL: database.url, SLUICE_REDIS_URL: redis.url, SLUICE_CLICKHOUSE_URL: clickhouse.url, TEMPORAL_ADDRESS: services().temporalAddress, SLUICE_EXTERNAL_URL: `${address}/events`, SLUICE_EXTERNAL_SECRET: secret, SLUICE_HTTP_PRIVATE: 'true' };
    const resolved = resolve(engagement, environment);
    const pipeline = { ...resolved, settings: { ...resolved.settings, ...settings } };
    const state = stack.adopt(openState(database.url), (pool) => pool.end());
    await migrate(state);
    const client = stack.adopt(new Redis(redis.url), (each) => each.disconnect());
    return new LettersWorld({ config: parseConfig(environment), environment, state, pipeline, receiver: store, posted, external, redis: client }, stack);
  }

  private constructor(parts: Pick<LettersWorld, 'config' | 'environment' | 'state' | 'pipeline' | 'receiver' | 'posted' | 'external' | 'redis'>, stack: AsyncDisposableStack) {
    ({ config: this.config, environment: this.environment, state: this.state, pipeline: this.pipeline, receiver: this.receiver, posted: this.posted, external: this.external, redis: this.redis } = parts);
    this.#stack = stack;
  }

  async sink(lane: string): Promise<OpenSink> {
    let opened = this.#opened.get(lane);
    if (!opened) {
      opened = await openSink(this.config, this.state, this.pipeline, lane);
      this.#opened.set(lane, opened);
      await opened.sink.finishLoad(zero);
    }
    return opened;
  }

  letters(lane: string, tally = new Tally()): DeadLetters {
    return new DeadLetters(this.state, this.pipeline, lane, tally);
  }

  /** As a lane does. Returns how many letters there were. */
  async apply(lane: string, segments: readonly Segment[], letters: Letters = this.letters(lane)): Promise<number> {
    const { sink } = await this.sink(lane);
    const around = { name: lane, sink, letters, key: this.pipeline.source.events.key, signal: new AbortController().signal };
    const { fence, applied } = await applyAround(around, segments, (await sink.readFence())!, endOf(segments));
    if (fence !== endOf(segments) || (await sink.readFence()) !== fence) throw new Error(`the fence of ${lane} is not at the end`);
    return applied.deadLetters ?? 0;
  }

  /** ClickHouse refuses the device from now on. */
  async constrain(): Promise<void> {
    await this.sink('enriched');
    await this.click(`ALTER TABLE engagement_enriched ADD CONSTRAINT known_device CHECK device IS NULL OR device != 'poison'`);
  }

  async click(query: string): Promise<Record<string, unknown>[]> {
    const client = createClient({ url: this.config.clickhouseUrl });
    try {
      if (!query.startsWith('SELECT')) {
        await client.command({ query });
        return [];
      }
      return await (await client.query({ query, format: 'JSONEachRow' })).json();
    } finally {
      await client.close();
    }
  }

  enriched(): Promise<Record<string, unknown>[]> {
    return this.click('SELECT toString(id) AS id, device, toString(duration_ms) AS duration_ms FROM engagement_enriched FINAL ORDER BY engagement_enriched.id');
  }

  folded(): Record<string, unknown>[] {
    return [...this.receiver.folded('')].map(({ row }) => JSON.parse(row) as Record<string, unknown>).sort((a, b) => Number(a['id']) - Number(b['id']));
  }

  async rows(sql: string): Promise<Record<string, unknown>[]> {
    return (await this.state.query<Record<string, unknown>>(sql)).rows;
  }

  async kept(lane: string): Promise<LetterRow[]> {
    const { rows } = await this.state.query<LetterRow>('select id::int, lane, position, op, key, reason, state, content from sluice.dead_letter where lane = $1 order by position', [lane]);
    return rows;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { sink } of this.#opened.values()) await sink.close();
    await this.#stack.disposeAsync();
  }
}

/** The letters of a worker that is stopped before it writes one, and what wakes it. */
export function stoodStill(letters: DeadLetters) {
  const [reached, woken] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const keep: Letters['keep'] = async (...letter) => {
    reached.resolve();
    await woken.promise;
    return letters.keep(...letter);
  };
  return { letters: { keep, passed: letters.passed.bind(letters), voidBelow: letters.voidBelow.bind(letters) }, reached: reached.promise, wake: woken.resolve };
}
