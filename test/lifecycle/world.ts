import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type ClickHouseClient } from '@clickhouse/client';
import { Client as Temporal, Connection } from '@temporalio/client';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { inject } from 'vitest';
import { KillOrders } from '../../chaos/kill-orders.ts';
import { verifyPipeline } from '../../client/verify.ts';
import { openState, type Queryable, type State } from '../../connectors/postgres/state/state.ts';
import { type Config, parseConfig, toEnvironment } from '../../core/config.ts';
import { createReceiver } from '../../infra/receiver/receiver.ts';
import { ReceiverStore } from '../../infra/receiver/store.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { identify } from '../../infra/supervisor/identity.ts';
import { writeInstance } from '../../infra/supervisor/instance.ts';
import { workflowBundle } from '../../workers/workflow-bundle.ts';
import { ownNamespace } from '../browser/running-pipelines.ts';
import { until } from '../capture/captured-source.ts';
import { services, throwAwayClickhouse, throwAwayDatabase, throwAwayRedis } from '../embedded/services.ts';

const secret = `whsec_${Buffer.from('a secret of 24 bytes, ok').toString('base64')}`;

/** What of a pipeline can be found anywhere. */
export type Found = Readonly<Record<'slots' | 'publications' | 'state' | 'results' | 'clickhouse' | 'fences' | 'redis' | 'spool', readonly string[]>>;

/**
 * Both sample pipelines on databases, a ClickHouse, a Redis, a receiver and a Temporal namespace of their own. The worker is a
 * process, which can be killed; commands are run as one types them.
 */
export class World implements AsyncDisposable {
  readonly config: Config;
  readonly source: Client;
  readonly state: State;
  readonly redis: Redis;
  readonly clickhouse: ClickHouseClient;
  readonly temporal: Temporal;
  readonly killOrders: KillOrders;
  readonly #killPoints: string;
  readonly #stack: AsyncDisposableStack;
  /** Whose worker and commands are run. */
  folder = checkout;
  #worker: ChildProcess | undefined;

  /** `temporal`: another one than that of all tests. `portOffset`: of the worker's port; tests that run at once have others. */
  static async open({ temporal, portOffset = 37 }: { temporal?: Pick<Config, 'temporalAddress' | 'temporalNamespace'>; portOffset?: number } = {}): Promise<World> {
    const stack = new AsyncDisposableStack();
    const [sourceDatabase, stateDatabase] = [stack.use(await throwAwayDatabase()), stack.use(await throwAwayDatabase())];
    const [redisDatabase, clickhouseDatabase] = [stack.use(await throwAwayRedis()), stack.use(await throwAwayClickhouse())];
    const dataDir = await mkdtemp(join(tmpdir(), 'sluice-lifecycle-'));
    stack.defer(() => rm(dataDir, { recursive: true, force: true }));
    const bundles = join(tmpdir(), 'sluice-test-workflows');
    await workflowBundle(bundles);
    await symlink(bundles, join(dataDir, 'workflows'));
    const killPoints = join(dataDir, 'kill-points');
    await mkdir(killPoints);

    const store = stack.adopt(new ReceiverStore(join(dataDir, 'receiver.sqlite')), (each) => each.close());
    const server = createReceiver(store, secret).listen(0, '127.0.0.1');
    await once(server, 'listening');
    stack.defer(() => void (server.closeAllConnections(), server.close()));
    const { port } = server.address() as AddressInfo;

    const { temporalAddress, temporalNamespace } = temporal ?? { temporalAddress: services().temporalAddress, temporalNamespace: await ownNamespace() };
    const urls = { sourceUrl: sourceDatabase.url, stateUrl: stateDatabase.url, redisUrl: redisDatabase.url, clickhouseUrl: clickhouseDatabase.url, externalUrl: `http://127.0.0.1:${port}/events` };
    const config = parseConfig(toEnvironment({ ...urls, dataDir, temporalAddress, temporalNamespace, workerPort: inject('portBase') + portOffset, receiverPort: port, externalSecret: secret }));
    writeInstance(dataDir, { supervisor: identify(process.pid)!, ready: true, portBase: inject('portBase') + 30, own: [], environment: toEnvironment(config), processes: [] });

    const source = stack.adopt(new Client({ connectionString: config.sourceUrl }), (each) => each.end());
    await source.connect();
    await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    const state = stack.adopt(openState(config.stateUrl), (pool) => pool.end());
    const redis = stack.adopt(new Redis(config.redisUrl), (each) => each.disconnect());
    const clickhouse = stack.adopt(createClient({ url: config.clickhouseUrl }), (each) => each.close());
    const connection = stack.adopt(await Connection.connect({ address: temporalAddress }), (each) => each.close());
    return new World({ config, source, state, redis, clickhouse, temporal: new Temporal({ connection, namespace: temporalNamespace }), killPoints, stack });
  }

  private constructor({ config, source, state, redis, clickhouse, temporal, killPoints, stack }: Pick<World, 'config' | 'source' | 'state' | 'redis' | 'clickhouse' | 'temporal'> & { killPoints: string; stack: AsyncDisposableStack }) {
    this.config = config;
    this.source = source;
    this.state = state;
    this.redis = redis;
    this.clickhouse = clickhouse;
    this.temporal = temporal;
    this.killOrders = new KillOrders(killPoints);
    this.#killPoints = killPoints;
    this.#stack = stack;
  }

  /** Two hours of what is old when a pipeline begins. */
  async fill(): Promise<void> {
    await this.source.query(`insert into content select gen_random_uuid(), 'old-' || g, 'Title ' || g, 'video', g, now() from generate_series(1, 20) g`);
    await this.writeEvents(2_000);
  }

  writeEvents(count: number): Promise<unknown> {
    return this.source.query(`insert into engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device)
      select (select id from content order by id offset g % 20 limit 1), gen_random_uuid(), (array['play','pause','finish','click'])[1 + g % 4], now() - (g * 17 % 7200) * interval '1 second', g, 'phone' from generate_series(1, ${count}::int) g`);
  }

  /** The sinks that are not as the source says. */
  async unequal(pipeline: string): Promise<readonly string[]> {
    const { checks } = await verifyPipeline(this.config, pipeline);
    return checks.filter(({ equal }) => !equal).map(({ sink, what }) => `${sink}: ${what}`);
  }

  /** Answers when it runs. `other`: what it is told otherwise than the rest. */
  async startWorker(other: Partial<Config> = {}): Promise<void> {
    const environment = { ...process.env, ...toEnvironment({ ...this.config, ...other }), SLUICE_KILL_POINTS: this.#killPoints };
    const start = () => (this.#worker = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(this.folder, 'workers/main.ts')], { env: environment, stdio: ['ignore', 'ignore', process.env['SLUICE_LOG_LEVEL'] === 'debug' ? 'inherit' : 'ignore'] }));
    start();
    const answers = async () => {
      // a server does not know a new namespace at once
      if (this.#worker!.exitCode !== null) start();
      return fetch(`http://127.0.0.1:${this.config.workerPort}/health`).then(({ status }) => status === 200, () => false);
    };
    await until(answers, 'the worker runs', 60_000);
  }

  async workerEnded(signal?: NodeJS.Signals): Promise<void> {
    const worker = this.#worker;
    if (!worker || worker.exitCode !== null || worker.signalCode !== null) return;
    const exit = once(worker, 'exit');
    if (signal) worker.kill(signal);
    await exit;
  }

  async restartWorker(other: Partial<Config> = {}): Promise<void> {
    await this.workerEnded('SIGTERM');
    await this.startWorker(other);
  }

  /** As one types it, without a terminal. */
  sluice(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return new Promise((resolve) => {
      const typed = ['--disable-warning=ExperimentalWarning', join(this.folder, 'cli/main.ts'), ...args, '--data', this.config.dataDir];
      execFile(process.execPath, typed, { env: { ...process.env, NO_COLOR: '1' }, maxBuffer: 64 << 20 }, (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }));
    });
  }

  async found(pipeline: string): Promise<Found> {
    const of = async (client: Queryable, sql: string, values: unknown[] = []) => (await client.query<{ name: string }>(sql, values)).rows.map(({ name }) => name);
    const tables = await of(this.state, "select c.relname as name from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relnamespace = 'sluice'::regnamespace and c.relkind = 'r' and a.attname = 'pipeline' and c.relname <> 'destroyed'");
    const filled: string[] = [];
    for (const table of tables) if ((await this.state.query(`select from sluice.${table} where pipeline = $1 limit 1`, [pipeline])).rowCount) filled.push(table);
    const asked = async (query: string) => (await (await this.clickhouse.query({ query, format: 'JSONEachRow' })).json<{ name: string }>()).map(({ name }) => name);
    const hasFences = (await asked("SELECT name FROM system.tables WHERE database = currentDatabase() AND name = 'sluice_fence'")).length > 0;
    const spool = await stat(join(this.config.dataDir, 'spool', pipeline)).then(() => [pipeline], () => []);
    return {
      slots: await of(this.source, 'select slot_name as name from pg_replication_slots where database = current_database() and slot_name = $1', [`sluice_${pipeline}`]),
      publications: await of(this.source, 'select pubname as name from pg_publication where pubname = $1', [`sluice_${pipeline}`]),
      state: [...filled, ...(await of(this.state, "select tablename as name from pg_tables where schemaname = 'sluice' and tablename like 'panes_' || $1 || '_%'", [pipeline]))],
      results: await of(this.state, "select tablename as name from pg_tables where schemaname = 'results' order by 1"),
      clickhouse: await asked("SELECT name FROM system.tables WHERE database = currentDatabase() AND name != 'sluice_fence' ORDER BY name"),
      fences: hasFences ? await asked(`SELECT DISTINCT lane AS name FROM sluice_fence WHERE pipeline = '${pipeline}' ORDER BY name`) : [],
      redis: (await this.redis.keys('*')).toSorted(),
      spool,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.workerEnded('SIGKILL');
    await this.#stack.disposeAsync();
  }
}
