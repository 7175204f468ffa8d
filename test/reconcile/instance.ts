import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type ClickHouseClient } from '@clickhouse/client';
import { Client as TemporalClient, Connection } from '@temporalio/client';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { inject } from 'vitest';
import { EngagementWorkload } from '../../bench/load/engagement.ts';
import { runLoad } from '../../bench/load/run.ts';
import { TrendingWorkload } from '../../bench/load/trending.ts';
import { until } from '../../chaos/until.ts';
import { ensurePipelines, pipelineStatuses } from '../../client/pipelines.ts';
import { runReconcile } from '../../client/reconciliations.ts';
import { verifyPipeline } from '../../client/verify.ts';
import { parseConfig, toEnvironment, type Config } from '../../core/config.ts';
import { reconcileRequest } from '../../core/reconcile.ts';
import type { ReconcileReport } from '../../core/reconcile-report.ts';
import type { Verification } from '../../core/verification.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { createReceiver } from '../../infra/receiver/receiver.ts';
import { ReceiverStore } from '../../infra/receiver/store.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { pipelines } from '../../pipelines/index.ts';
import { ownNamespace } from '../browser/running-pipelines.ts';
import { services, throwAwayClickhouse, throwAwayDatabase, throwAwayRedis } from '../embedded/services.ts';

const secret = `whsec_${Buffer.from('a secret of 24 bytes, ok').toString('base64')}`;
const signal = new AbortController().signal;
const soon = { timeoutMs: 60_000, everyMs: 100, signal };
const minute = 60_000;

/** Both sample pipelines as they run: a worker in a process of its own, on stores and in a namespace of its own. */
export class Instance implements AsyncDisposable {
  readonly config: Config;
  readonly source: Client;
  readonly state: Client;
  readonly redis: Redis;
  readonly clickhouse: ClickHouseClient;
  readonly temporal: TemporalClient;
  /** Of the history that was there before the pipelines: everything in it has closed for good. */
  readonly range: PaneRange;
  readonly #stack: AsyncDisposableStack;
  #worker: ChildProcess | undefined;
  #log = '';

  static async open(): Promise<Instance> {
    const stack = new AsyncDisposableStack();
    const [database, own] = [stack.use(await throwAwayDatabase()), stack.use(await throwAwayDatabase())];
    const [redisDatabase, clickhouse] = [stack.use(await throwAwayRedis()), stack.use(await throwAwayClickhouse())];
    const dataDir = await mkdtemp(join(tmpdir(), 'sluice-reconcile-'));
    stack.defer(() => rm(dataDir, { recursive: true, force: true }));
    const store = stack.adopt(new ReceiverStore(join(dataDir, 'receiver.sqlite')), (each) => each.close());
    const server = createReceiver(store, secret).listen(0, '127.0.0.1');
    await once(server, 'listening');
    stack.defer(() => void (server.closeAllConnections(), server.close()));
    const { port } = server.address() as AddressInfo;
    const config = parseConfig(
      toEnvironment({
        ...services(),
        sourceUrl: database.url,
        stateUrl: own.url,
        redisUrl: redisDatabase.url,
        clickhouseUrl: clickhouse.url,
        temporalNamespace: await ownNamespace(),
        externalUrl: `http://127.0.0.1:${port}/events`,
        externalSecret: secret,
        receiverPort: port,
        workerPort: inject('portBase') + 60,
        dataDir,
        logLevel: 'warn',
      }),
    );
    const [source, state] = [new Client({ connectionString: database.url }), new Client({ connectionString: own.url })];
    for (const client of [source, state]) {
      await client.connect();
      stack.defer(() => client.end());
    }
    const connection = stack.adopt(await Connection.connect({ address: config.temporalAddress }), (each) => each.close());
    const redis = stack.adopt(new Redis(redisDatabase.url), (each) => each.disconnect());
    const rows = stack.adopt(createClient({ url: clickhouse.url }), (each) => each.close());
    const instance = new Instance({ config, source, state, redis, clickhouse: rows, temporal: new TemporalClient({ connection, namespace: config.temporalNamespace }), stack });
    await instance.#begin();
    return instance;
  }

  private constructor(parts: Pick<Instance, 'config' | 'source' | 'state' | 'redis' | 'clickhouse' | 'temporal'> & { stack: AsyncDisposableStack }) {
    this.config = parts.config;
    this.source = parts.source;
    this.state = parts.state;
    this.redis = parts.redis;
    this.clickhouse = parts.clickhouse;
    this.temporal = parts.temporal;
    this.#stack = parts.stack;
    const now = Math.floor(Date.now() / 10_000) * 10_000;
    this.range = { fromMs: now - 32 * minute, toMs: now - 3 * minute };
  }

  startWorker(): void {
    const worker = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(checkout, 'workers/main.ts')], { env: { ...process.env, ...toEnvironment(this.config) } });
    for (const stream of [worker.stdout, worker.stderr]) stream.on('data', (chunk: Buffer) => (this.#log = `${this.#log}${chunk}`.slice(-5_000)));
    this.#worker = worker;
  }

  async killWorker(): Promise<void> {
    const worker = this.#worker!;
    worker.kill('SIGKILL');
    if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit');
  }

  reconcile(name: string, { range, ...choice }: { range?: PaneRange; repair?: boolean; rowsPerSecond?: number } = {}): Promise<ReconcileReport> {
    return runReconcile(this.config, { ...reconcileRequest(pipelines[name]!, { ...range, ...choice }, Date.now()), rowsPerSecond: choice.rowsPerSecond ?? null });
  }

  verify(name: string): Promise<Verification> {
    return verifyPipeline(this.config, name);
  }

  /** Writes to both pipelines: updates, deletes, and events that are late for their windows, until the signal. */
  async load(rate: number, end: AbortSignal): Promise<void> {
    const load = { rate, burst: 0, updates: 0.2, deletes: 0.1, late: 0.2, durationMs: undefined };
    await Promise.all([new EngagementWorkload(5), new TrendingWorkload(5)].map((workload) => runLoad({ url: this.config.sourceUrl, workload, load, signal: end, reportMs: 60_000, onReport: () => {} })));
  }

  /** Windows up to there have closed. */
  async closed(ms: number): Promise<void> {
    await this.#until(`windows up to ${new Date(ms).toISOString()} to close`, async () => (await pipelineStatuses(this.config)).every(({ watermark }) => watermark !== null && Date.parse(watermark) >= ms));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#worker) await this.killWorker();
    await this.#stack.disposeAsync();
  }

  async #begin(): Promise<void> {
    await this.source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    await this.source.query('create index on engagement_events (event_ts); create index on post_views (viewed_at)');
    const { fromMs, toMs } = this.range;
    await this.source.query(`insert into content (slug, title, content_type, length_seconds, publish_ts) select 'c' || n, 'Content ' || n, 'podcast', 60 * n, now() from generate_series(1, 20) n; insert into posts (title) select 'Post ' || n from generate_series(1, 20) n`);
    await this.source.query(
      `insert into engagement_events (content_id, event_type, event_ts, duration_ms, device, raw_payload)
       select (select id from content where slug = 'c' || (1 + n % 20)), (array['play','pause','finish','click'])[1 + n % 4], to_timestamp(($1::bigint + n::bigint * 5801 % $2::bigint) / 1000.0), n % 9000, 'phone', jsonb_build_object('n', n) from generate_series(1, 4000) n`,
      [fromMs, toMs - fromMs],
    );
    await this.source.query('insert into post_views (post_id, viewed_at) select 1 + n % 20, to_timestamp(($1::bigint + n::bigint * 7307 % $2::bigint) / 1000.0) from generate_series(1, 3000) n', [fromMs, toMs - fromMs]);
    await this.source.query('analyze');
    // a server needs a moment until all of it knows a new namespace
    await this.#until('the namespace to be known', () => ensurePipelines(this.config).then(() => true));
    this.startWorker();
    await this.closed(toMs + minute);
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    await until(what, isSo, soon).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.#log}`, { cause: error });
    });
  }
}
