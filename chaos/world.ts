import { join } from 'node:path';
import { type ClickHouseClient, createClient } from '@clickhouse/client';
import type { Client } from '@temporalio/client';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { Fences } from '../bench/fences.ts';
import { pipelines, type PipelineStatus, pipelineStatuses, resumePipeline } from '../client/pipelines.ts';
import { withTemporal } from '../client/temporal-connection.ts';
import type { Config } from '../core/config.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { type Lsn, parseLsn } from '../core/position.ts';
import type { Proxied } from './addresses.ts';
import { struckMs } from './fault.ts';
import type { HttpFront } from './http-front.ts';
import { type ChaosInstance, type InstanceOptions, startChaosInstance } from './instance.ts';
import { KillOrders } from './kill-orders.ts';
import type { Load } from './load.ts';
import { loadAnew } from './load-anew.ts';
import { LogFile } from './log-file.ts';
import { type ProcessName, Processes } from './processes.ts';
import type { Proxy } from './proxy.ts';
import { until } from './until.ts';

/** Everything that a fault may lay its hands on. Clients go to the services themselves, not through the proxies. */
export class World {
  readonly name: string;
  /** The addresses of the services themselves; workers have others (`proxies`). */
  readonly config: Config;
  readonly processes: Processes;
  /** Between the worker and each service. */
  readonly proxies: Readonly<Record<Proxied, Proxy>>;
  /** Between the worker and the receiver. */
  readonly front: HttpFront;
  readonly killOrders: KillOrders;
  /** As superuser. */
  readonly source: Pool;
  readonly state: Pool;
  readonly redis: Redis;
  readonly clickhouse: ClickHouseClient;
  readonly instance: ChaosInstance;
  #fences: Fences;
  /** Once the run has begun. */
  load!: Load;
  /** The most memory that a worker has had, once the run has begun. */
  workerPeakMiB: () => number = () => 0;

  static async open(options: InstanceOptions): Promise<World> {
    const world = new World(await startChaosInstance(options), options.pipeline);
    try {
      await world.untilRunning(options.signal);
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  private constructor(instance: ChaosInstance, name: string) {
    const { config } = instance.start.plan;
    this.instance = instance;
    this.name = name;
    this.config = config;
    this.#fences = Fences.open(config, pipelines[name]!);
    this.processes = new Processes(instance);
    this.proxies = instance.ways.proxies;
    this.front = instance.ways.front;
    this.killOrders = new KillOrders(instance.killPointDirectory);
    this.source = poolOf(config.sourceUrl);
    this.state = poolOf(config.stateUrl);
    this.redis = new Redis(config.redisUrl, { retryStrategy: () => 100 });
    this.redis.on('error', () => {}); // the calls say it
    this.clickhouse = createClient({ url: config.clickhouseUrl, request_timeout: 30_000 });
  }

  /** As it runs; with what was added to it, once that is complete. */
  get pipeline(): Pipeline {
    return this.#fences.pipeline;
  }

  get fences(): Fences {
    return this.#fences;
  }

  /** From here on it counts as what `pipelines` has: lanes that it got are waited for, those that it lost are not. */
  async redefined(): Promise<void> {
    const before = this.#fences;
    this.#fences = Fences.open(this.config, pipelines[this.name]!);
    await before.close();
  }

  /** The lane of the sink of this kind; undefined: the pipeline has none. */
  laneOf(kind: Pipeline['sinks'][string]['kind']): string | undefined {
    return Object.keys(this.pipeline.sinks).find((name) => this.pipeline.sinks[name]!.kind === kind);
  }

  /** What this process writes from now on. */
  log(process: ProcessName): LogFile {
    return new LogFile(join(this.config.dataDir, 'logs', `${process}.log`));
  }

  temporal<T>(use: (client: Client) => Promise<T>): Promise<T> {
    return withTemporal(this.config, use);
  }

  async status(): Promise<PipelineStatus> {
    return (await pipelineStatuses(this.config)).find(({ name }) => name === this.name)!;
  }

  async walEnd(): Promise<Lsn> {
    const { rows } = await this.source.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
    return parseLsn(rows[0]!.lsn);
  }

  /** Until every lane has all that was ever written. Returns the seconds it took. */
  async quiet(signal: AbortSignal): Promise<number> {
    const startedAt = performance.now();
    await this.fences.passed(await this.walEnd(), { timeoutMs: quietMs, signal, onLook: async () => {} });
    await this.untilRunning(signal);
    return (performance.now() - startedAt) / 1000;
  }

  /** The pipeline, its capture and every lane run, as far as the workflow says. */
  untilRunning(signal: AbortSignal): Promise<void> {
    const runs = async () => {
      const { state, reason, capture, lanes } = await this.status();
      const idle = [capture!, ...lanes].find((part) => part.state !== 'running');
      if (state !== 'running' || idle) throw new Error(`${this.name} is ${state}${reason ? ` (${reason})` : ''}${idle ? `, ${idle.name} is ${idle.state} (${idle.error})` : ''}`);
      return true;
    };
    return until(`${this.name} to run`, runs, { timeoutMs: struckMs, everyMs: 200, signal });
  }

  /** Waits until the lane (or `capture`) has stopped for a person to mend something, and returns its sentence. */
  async untilParked(part: string, sentence: RegExp, signal: AbortSignal): Promise<string> {
    let said = '';
    const parked = async () => {
      const { capture, lanes } = await this.status();
      const found = [capture!, ...lanes].find(({ name }) => name === part)!;
      if (found.state !== 'parked') throw new Error(`it is ${found.state}${found.error ? `: ${found.error}` : ''}`);
      said = found.error ?? '';
      if (!sentence.test(said)) throw new Error(`its sentence is: ${said}`);
      return true;
    };
    await until(`${part} to park with ${sentence}`, parked, { timeoutMs: struckMs, everyMs: 200, signal });
    return said;
  }

  /** Waits until the last attempt of a lane (or `capture`) failed with such a message, and returns that. */
  async untilFailing(part: string, message: RegExp, signal: AbortSignal): Promise<string> {
    let said = '';
    const failing = async () => {
      const { rows } = await this.state.query<{ error: string | null }>("select detail->>'error' as error from sluice.progress where pipeline = $1 and part = $2", [this.name, part]);
      said = rows[0]?.error ?? '';
      if (!message.test(said)) throw new Error(said === '' ? 'it does not fail' : `it says: ${said}`);
      return true;
    };
    await until(`${part} to fail with ${message}`, failing, { timeoutMs: struckMs, everyMs: 100, signal });
    return said.split('\n')[0]!;
  }

  /** What a person does after having mended it, as soon as a worker answers: `./sluice resume`, for those of `parts` that have parked. Returns their names. */
  async resumeParked(parts: readonly string[], signal: AbortSignal): Promise<string[]> {
    const resumed = new Set<string>();
    const resumeAll = async () => {
      const { capture, lanes, reason } = await this.status();
      // another fault may just have killed the worker
      if (!capture) throw new Error(reason ?? 'its workflow does not answer');
      for (const { name, state } of [capture, ...lanes]) {
        if (state !== 'parked' || !parts.includes(name)) continue;
        await resumePipeline(this.config, this.name, name);
        resumed.add(name);
      }
      return true;
    };
    await until('what has parked to go on', resumeAll, { timeoutMs: struckMs, everyMs: 200, signal });
    return [...resumed];
  }

  /** The product's own way out when only a new first load helps. `beforeStart` is called while no worker runs. */
  loadAnew(signal: AbortSignal, beforeStart?: () => Promise<void>): Promise<void> {
    return loadAnew(this, signal, beforeStart);
  }

  /** Stops everything; what it wrote stays. */
  async close(): Promise<void> {
    this.redis.disconnect();
    await Promise.allSettled([this.source.end(), this.state.end(), this.clickhouse.close(), this.#fences.close()]);
    await this.instance.stop();
  }
}

const quietMs = 120_000;

function poolOf(connectionString: string): Pool {
  const pool = new Pool({ connectionString, application_name: 'sluice chaos', max: 6, connectionTimeoutMillis: 5_000 });
  pool.on('error', () => {}); // an idle connection broke: the next call says it
  return pool;
}
