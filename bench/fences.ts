import { setTimeout as wait } from 'node:timers/promises';
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { type Client, Pool } from 'pg';
import { resolve } from '../core/define/resolve.ts';
import { lanesOf } from '../core/define/lanes.ts';
import { type Config, toEnvironment } from '../core/config.ts';
import type { Pipeline, Text } from '../core/pipeline.ts';
import { type Lsn, parsePosition, type Position, toPosition } from '../core/position.ts';
import { unreachable } from '../core/unreachable.ts';
import { fill } from './fill.ts';
import type { Workload } from './load/workload.ts';

/** The fences of a pipeline's lanes, read where the sinks keep them. */
export class Fences {
  readonly pipeline: Pipeline;
  readonly #state: Pool;
  readonly #redis: Redis;
  readonly #clickhouse: ClickHouseClient;

  static open(config: Config, definition: Pipeline<Text>): Fences {
    return new Fences(config, resolve(definition, { ...process.env, ...toEnvironment(config) }));
  }

  private constructor(config: Config, pipeline: Pipeline) {
    this.pipeline = pipeline;
    this.#state = new Pool({ connectionString: config.stateUrl, application_name: 'sluice bench', max: 4, connectionTimeoutMillis: 5_000 });
    this.#state.on('error', () => {}); // an idle connection broke: the next call says it
    this.#redis = new Redis(config.redisUrl, { retryStrategy: () => 100, maxRetriesPerRequest: 0, connectTimeout: 5_000, commandTimeout: 5_000 });
    this.#redis.on('error', () => {}); // the calls say it
    this.#clickhouse = createClient({ url: config.clickhouseUrl, log: { level: ClickHouseLogLevel.OFF } });
  }

  /**
   * Resolves when every lane that reads segments has what lies below `lsn`, and every relay what came of that; with the
   * seconds that each lane took.
   */
  async passed(lsn: Lsn, options: { readonly timeoutMs: number; readonly signal: AbortSignal; readonly onLook: () => Promise<void> }): Promise<Readonly<Record<string, number>>> {
    const startedAt = performance.now();
    const until = startedAt + options.timeoutMs;
    const took: Record<string, number> = {};
    // each lane by itself: a store that is busy for a while says nothing about the others
    const follow = async (lane: string): Promise<void> => {
      let failure: unknown;
      let first: Lsn | undefined;
      for (;;) {
        const fence = await this.#fence(lane).catch((error: unknown) => void (failure = error));
        if (fence !== undefined && fence >= lsn) break;
        first ??= fence;
        const part = fence === undefined || first === undefined ? 0 : Number(fence - first) / Number(lsn - first);
        if (performance.now() > until) throw new Error(`Lane ${lane} did not get through the backlog within ${options.timeoutMs / 1000} s${failure instanceof Error ? ` (${failure.message})` : ''}. See the worker's log.`, { cause: failure });
        await wait(nextLookMs(performance.now() - startedAt, part), undefined, { signal: options.signal });
      }
      took[lane] = (performance.now() - startedAt) / 1000;
    };
    const passed = Promise.all(this.lanes.map(follow)).then(() => true);
    passed.catch(() => {}); // it is thrown below, unless looking fails first
    do await options.onLook();
    while (!(await Promise.race([passed, wait(lookMs).then(() => false)])));
    await this.#relaysCaughtUp(until, options.signal);
    return took;
  }

  /** Resolves when everything that is committed by now has passed: one event is written to wait for. */
  async passedNow(client: Client, workload: Workload, signal: AbortSignal): Promise<void> {
    await this.passed(await fill(client, workload, 1, signal), { timeoutMs: 60_000, signal, onLook: async () => {} });
  }

  /** Lanes that read segments. */
  get lanes(): readonly string[] {
    return lanesOf(this.pipeline).filter(({ reads }) => reads === 'segments').map(({ name }) => name);
  }

  /** Undefined: there is none, or the store that keeps it does not answer. */
  of(lane: string): Promise<Position | undefined> {
    return this.#position(lane).catch(() => undefined);
  }

  /** Of every lane that reads segments; undefined: there is none, or the store that keeps it does not answer. */
  async read(): Promise<ReadonlyMap<string, Position | undefined>> {
    return new Map(await Promise.all(this.lanes.map(async (lane) => [lane, await this.of(lane)] as const)));
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
    await Promise.all([this.#state.end(), this.#clickhouse.close()]);
  }

  async #fence(lane: string): Promise<Lsn | undefined> {
    const position = await this.#position(lane);
    return position === undefined ? undefined : parsePosition(position).lsn;
  }

  async #position(lane: string): Promise<Position | undefined> {
    const text = await this.#fenceText(lane);
    return text === undefined ? undefined : toPosition(text);
  }

  async #fenceText(lane: string): Promise<string | undefined> {
    const definition = this.pipeline.sinks[lane];
    switch (definition?.kind) {
      case 'clickhouse': {
        const result = await this.#clickhouse.query({
          query: 'SELECT lower(hex(max(position))) AS position FROM sluice_fence WHERE pipeline = {pipeline:String} AND lane = {lane:String}',
          query_params: { pipeline: this.pipeline.name, lane },
          format: 'JSONEachRow',
        });
        return (await result.json<{ position: string }>())[0]?.position.padStart(32, '0');
      }
      case 'redis-live':
        return (await this.#redis.get(`{${definition.key}}:fence`)) ?? undefined;
      case undefined:
      case 'http': {
        const { rows } = await this.#state.query<{ position: string }>('select position from sluice.fence where pipeline = $1 and lane = $2', [this.pipeline.name, lane]);
        return rows[0]?.position;
      }
      case 'postgres-results':
      case 'redis-results':
        return undefined;
      default:
        return unreachable(definition);
    }
  }

  async #relaysCaughtUp(until: number, signal: AbortSignal): Promise<void> {
    const relays = lanesOf(this.pipeline).filter(({ reads }) => reads === 'outbox').length;
    const { rows } = await this.#state.query<{ seq: string }>('select outbox_seq::text as seq from sluice.aggregate where pipeline = $1', [this.pipeline.name]);
    // a relay that never had anything to publish has no fence
    if (rows[0]!.seq === '0') return;
    const behind = async () => {
      const { rows: done } = await this.#state.query<{ count: string }>('select count(*)::text from sluice.relay_fence where pipeline = $1 and seq >= $2', [this.pipeline.name, rows[0]!.seq]);
      return Number(done[0]!.count) < relays;
    };
    for (; await behind(); await wait(lookMs, undefined, { signal })) {
      if (performance.now() > until) throw new Error('The relays did not publish what the aggregate lane computed in time. See the worker\'s log.');
    }
  }
}

const lookMs = 50;

/** Looking takes of what is measured, so it is seldom while there is long to go: a tenth of what is left by the pace so far. */
function nextLookMs(tookMs: number, part: number): number {
  return Math.min(500, Math.max(20, ((tookMs / part) * (1 - part)) / 10));
}
