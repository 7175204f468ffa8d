import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type ClickHouseClient } from '@clickhouse/client';
import { WorkflowFailedError } from '@temporalio/client';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { beginDestroy, dropDestination, dropPublicationOf, dropSlotsOf, dropSpoolOf, dropState, endWorkflows, finishDestroy, type DestroyActivities } from '../../activities/destroy.ts';
import { beginLoad, readShard } from '../../connectors/postgres/shard-state.ts';
import { sourceNames } from '../../connectors/postgres/source-catalog.ts';
import { markDestroyed } from '../../connectors/postgres/state/destroyed.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState, type State } from '../../connectors/postgres/state/state.ts';
import type { Config } from '../../core/config.ts';
import type { DestroyStatus, Drop, Item } from '../../core/destroy.ts';
import { reconcileScheduleId } from '../../core/workflow-names.ts';
import { services, throwAwayClickhouse, throwAwayDatabase, throwAwayRedis } from '../embedded/services.ts';
import { RunningPipeline, Stage, waited } from './stage.ts';

/** The steps of a destruction on real services, while another attempt of theirs has come to the end, and the pipeline is applied anew. */
let stage: Stage;
let pipeline: RunningPipeline;
let state: State;
let config: Config;
let redis: Redis;
let open: AsyncDisposableStack;
let forgotten: string[];

const drops: readonly Drop[] = [
  { kind: 'slot' },
  { kind: 'publication' },
  { kind: 'destination', lane: 'rows', place: { kind: 'clickhouse', table: 't' } },
  { kind: 'destination', lane: 'live', place: { kind: 'redis', key: 'k', keys: { names: ['k'], families: ['{k}:'] } } },
  { kind: 'destination', lane: 'results', place: { kind: 'results', table: 'results.t' } },
  { kind: 'state', paneTables: ['sluice.panes'] },
  { kind: 'spool' },
];
const items = drops.map((drop): Item => ({ drop, what: drop.kind === 'destination' ? drop.lane : drop.kind, isThere: true, byHand: 'by hand' }));
const everything = ['clickhouse', 'panes', 'publication', 'redis', 'results', 'shard', 'slot', 'spool'];

beforeEach(async () => {
  stage = new Stage();
  open = new AsyncDisposableStack();
  forgotten = [];
  const [database, tables, redisDatabase] = [open.use(await throwAwayDatabase()), open.use(await throwAwayClickhouse()), open.use(await throwAwayRedis())];
  const dataDir = await mkdtemp(join(tmpdir(), 'sluice-destroy-'));
  open.defer(() => rm(dataDir, { recursive: true }));
  config = { sourceUrl: database.url, stateUrl: database.url, clickhouseUrl: tables.url, redisUrl: redisDatabase.url, dataDir } as Config;
  state = openState(database.url);
  open.defer(() => state.end());
  redis = new Redis(config.redisUrl);
  open.defer(() => redis.disconnect());
  await migrate(state);
  await makeAll();
});
afterEach(() => open.disposeAsync());

async function makeAll(): Promise<void> {
  const { slot, publication } = sourceNames(stage.name);
  await state.query('select pg_create_logical_replication_slot($1, $2)', [slot, 'pgoutput']);
  await state.query(`create publication ${publication}`);
  await state.query('create schema if not exists results; create table results.t (n int); create table sluice.panes (n int)');
  await clickhouse((client) => client.command({ query: 'CREATE TABLE t (id Int64, _position UInt128, _deleted UInt8) ENGINE = ReplacingMergeTree(_position, _deleted) ORDER BY id' }));
  await redis.set('k', 'v');
  await redis.set('{k}:pane:1', 'v');
  await mkdir(join(config.dataDir, 'spool', stage.name), { recursive: true });
  await beginLoad(state, stage.name, slot, { hash: 'hash', json: '{"name":"x"}' }, 0);
}

async function clickhouse<T>(use: (client: ClickHouseClient) => Promise<T>): Promise<T> {
  const client = createClient({ url: config.clickhouseUrl });
  return use(client).finally(() => client.close());
}

/** What is there of it all. */
async function there(): Promise<readonly string[]> {
  const { slot, publication } = sourceNames(stage.name);
  const has = async (query: string, ...values: string[]) => (await state.query(query, values)).rowCount === 1;
  const looks: Record<string, () => Promise<boolean>> = {
    slot: () => has('select from pg_replication_slots where slot_name = $1', slot),
    publication: () => has('select from pg_publication where pubname = $1', publication),
    clickhouse: async () => (await clickhouse((client) => client.query({ query: 'EXISTS TABLE t', format: 'TabSeparated' }).then((answer) => answer.text()))).trim() === '1',
    redis: async () => (await redis.exists('k', '{k}:pane:1')) === 2,
    results: () => has("select from pg_tables where schemaname = 'results' and tablename = 't'"),
    panes: () => has("select from pg_tables where schemaname = 'sluice' and tablename = 'panes'"),
    shard: async () => (await readShard(state, stage.name)) !== undefined,
    spool: async () => (await readdir(join(config.dataDir, 'spool'))).includes(stage.name),
  };
  const found = await Promise.all(Object.entries(looks).map(async ([what, look]) => ((await look()) ? [what] : [])));
  return found.flat().toSorted();
}

async function destroyed(adjusted: Partial<DestroyActivities>): Promise<DestroyStatus> {
  const runtime = { config, state, declared: () => expect.unreachable(), forget: async (name: string) => void forgotten.push(name) };
  stage.beside = {
    planDestroy: async () => ({ workflows: [], items, untouched: [], destroyedAt: null, epoch: 1 }),
    beginDestroy: (input) => beginDestroy(runtime, input),
    endWorkflows: (input) => endWorkflows(runtime, { ...input, patienceMs: 5_000 }),
    dropSlots: (input) => dropSlotsOf(runtime, input),
    dropPublication: (input) => dropPublicationOf(runtime, input),
    dropDestination: (input) => dropDestination(runtime, input),
    dropState: (input) => dropState(runtime, input),
    dropSpool: (input) => dropSpoolOf(runtime, input),
    finishDestroy: (input) => finishDestroy(runtime, input),
    ...adjusted,
  };
  pipeline = open.use(await RunningPipeline.start(stage, services().temporalAddress));
  await pipeline.until(({ capture }) => capture.state === 'running');
  await pipeline.client.schedule.create({ scheduleId: reconcileScheduleId(stage.name), spec: {}, action: { type: 'startWorkflow', workflowType: 'verify', taskQueue: stage.taskQueue } });
  open.defer(() => pipeline.client.schedule.getHandle(reconcileScheduleId(stage.name)).delete().catch(() => {}));
  const handle = await pipeline.client.workflow.start('destroy', { workflowId: `destroy/${stage.name}`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, keepResults: false }] });
  return (await handle.result()) as DestroyStatus;
}

const runs = async () => (await pipeline.handle.describe()).status.name;
const isScheduled = () => pipeline.client.schedule.getHandle(reconcileScheduleId(stage.name)).describe().then(() => true, () => false);
const ended = { message: expect.stringMatching(/^This destruction of pipeline test_\w+ has ended, .*: it drops nothing more\. To drop what is there now, type \.\/sluice destroy test_\w+\.$/) as string };

/** All that another attempt has done; then it begins again. */
async function overtake({ pipeline: name }: { readonly pipeline: string }): Promise<void> {
  await markDestroyed(state, { pipeline: name, epoch: 1 });
  await beginLoad(state, name, 'slot', { hash: 'hash', json: '{"name":"x"}' }, 0);
}

test('one that goes on drops everything', async () => {
  expect(await there()).toEqual(everything);
  expect(await destroyed({})).toMatchObject({ state: 'done', left: [] });
  expect(await there()).toEqual([]);
  expect([await runs(), await isScheduled()]).toEqual(['CANCELLED', false]);
  expect(forgotten).toEqual([stage.name]);
});

test('E28: no drop takes away what was applied since', async () => {
  const status = await destroyed({ endWorkflows: async (input) => (await readShard(state, stage.name))?.epoch === 1 ? overtake(input).then(() => []) : [] });
  expect(status.left).toEqual(items.map(({ what, byHand }) => ({ what, why: ended.message, byHand })));
  expect(status).toMatchObject({ state: 'partly', dropped: [] });
  expect(await there()).toEqual(everything);
  expect(forgotten).toEqual([]);
});

test('nor does it end what was started since', async () => {
  const failed = destroyed({ beginDestroy: async () => {} });
  await expect(failed).rejects.toThrow(WorkflowFailedError);
  await expect(failed).rejects.toMatchObject({ cause: ended });
  expect([await runs(), await isScheduled()]).toEqual(['RUNNING', true]);
});

test('nor does one that was at it, though it has waited long enough', async () => {
  const asked = Promise.withResolvers<void>();
  const over = new AbortController();
  stage.step = async (input, part) => {
    const result = await stage.plainStep(input, part);
    asked.resolve();
    await waited(60_000, over.signal);
    return result;
  };
  const failed = destroyed({}).catch((error: unknown) => error);
  await asked.promise;
  await overtake({ pipeline: stage.name });
  expect(await failed).toMatchObject({ cause: ended });
  expect(await runs()).toBe('RUNNING');
  over.abort();
});
