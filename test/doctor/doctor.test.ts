import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { firstLoad } from '../../connectors/postgres/first-load.ts';
import { beginLoad, endLoad, markForLoad, readShard } from '../../connectors/postgres/shard-state.ts';
import { sourceNames } from '../../connectors/postgres/source-catalog.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState, type State } from '../../connectors/postgres/state/state.ts';
import { type Config, parseConfig, toEnvironment } from '../../core/config.ts';
import { type Finding, isWell } from '../../core/doctor.ts';
import { examine } from '../../doctor/examine.ts';
import { temporalCommand } from '../../infra/embedded/temporal.ts';
import { partsFolder } from '../../infra/supervisor/checkout.ts';
import trending from '../../pipelines/trending.ts';
import { until } from '../capture/captured-source.ts';
import { services, throwAwayDatabase, type ThrowAway } from '../embedded/services.ts';

const pipeline = { ...trending, sinks: {} };
const { slot, publication } = sourceNames(pipeline.name);
const role = 'sluice_doctor';
const index = 'create index on post_views (viewed_at)';

describe('doctor on real servers', () => {
  let sourceDatabase: ThrowAway;
  let stateDatabase: ThrowAway;
  let source: Client;
  let state: State;
  let redis: Redis;
  let config: Config;

  beforeAll(async () => {
    [sourceDatabase, stateDatabase] = await Promise.all([throwAwayDatabase(), throwAwayDatabase()]);
    source = new Client({ connectionString: sourceDatabase.url });
    await source.connect();
    await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    await source.query(index);
    await source.query(`create role ${role} login replication password 'of the doctor'`);
    await source.query(`grant pg_read_all_stats to ${role}; grant select on all tables in schema public to ${role}`);
    state = openState(stateDatabase.url);
    await migrate(state);
    await load();
    redis = new Redis(services().redisUrl);
    const url = Object.assign(new URL(sourceDatabase.url), { username: role, password: 'of the doctor' });
    config = parseConfig(toEnvironment({ ...services(), dataDir: await mkdtemp(join(tmpdir(), 'sluice-doctor-')), sourceUrl: url.href, stateUrl: stateDatabase.url }));
  });

  afterAll(async () => {
    redis?.disconnect();
    await state?.end();
    await source?.query(`drop owned by ${role}; drop role ${role}`);
    await source?.end();
    await Promise.all([sourceDatabase, stateDatabase].map((each) => each?.[Symbol.asyncDispose]()));
    if (config) await rm(config.dataDir, { recursive: true, force: true });
  });

  /** As the pipeline's workflow does it, into no sink. */
  async function load(): Promise<void> {
    const epoch = await beginLoad(state, pipeline.name, slot, { hash: 'hash', json: '{}' }, 0);
    const nothing = { readFence: async () => undefined, apply: async () => ({ events: 0 }), load: async () => {}, finishLoad: async () => {}, close: async () => {} };
    const loaded = await firstLoad({ pipeline, sourceUrl: sourceDatabase.url, epoch, sinks: new Map([['none', nothing]]), assertCurrent: async () => {}, signal: new AbortController().signal, onProgress: () => {} });
    await endLoad(state, pipeline.name, epoch, loaded);
  }

  const notOk = async (other: Partial<Config> = {}): Promise<Finding[]> => (await examine({ ...config, ...other }, [pipeline])).filter((finding) => finding.state !== 'ok');

  test('what is healthy has nothing to be mended', async () => {
    expect(await notOk()).toEqual([]);
  });

  test.each<[string, string, Partial<Finding>]>([
    ['a table without its replica identity', 'alter table post_views replica identity default', { state: 'wrong', mend: 'ALTER TABLE post_views REPLICA IDENTITY FULL;' }],
    ['a table without its key', 'alter table post_views drop constraint post_views_pkey', { state: 'wrong', mend: 'ALTER TABLE public.post_views ADD PRIMARY KEY (id);' }],
    ['a table that may not be read', `revoke select on posts from ${role}`, { state: 'wrong', mend: `GRANT SELECT ON public.posts TO ${role};` }],
    ['a schema that may not be used', 'revoke usage on schema public from public', { state: 'wrong', mend: `GRANT USAGE ON SCHEMA public TO ${role};` }],
    ['an event time without an index', 'drop index post_views_viewed_at_idx', { state: 'warning', mend: 'CREATE INDEX CONCURRENTLY ON public.post_views (viewed_at);' }],
    ['a role that does not see others (E13)', `revoke pg_read_all_stats from ${role}`, { state: 'warning', mend: `GRANT pg_read_all_stats TO ${role};` }],
    ['a role that may not replicate', `alter role ${role} noreplication`, { state: 'wrong', mend: `ALTER ROLE ${role} REPLICATION;` }],
  ])('%s is named, and what is said to mend it does', async (_, breaking, expected) => {
    await source.query(breaking);
    const findings = await notOk();
    expect(findings.map(({ state: is, mend }) => ({ state: is, mend }))).toContainEqual(expected);
    expect(isWell(findings)).toBe(expected.state === 'warning');
    for (const { mend } of findings) await source.query(mend!);
    expect(await notOk()).toEqual([]);
  });

  test.each([
    ['a publication that was dropped', () => source.query(`drop publication ${publication}`), /^The publication sluice_trending does not have table public\.post_views/],
    ['a table that left the publication', () => source.query(`alter publication ${publication} drop table posts`), /does not have table public\.posts/],
    ['a table that was made again', () => source.query(`alter table post_views rename to was; create table post_views (like was including all); alter table post_views replica identity full; grant select on post_views to ${role}; alter publication ${publication} add table post_views; drop table was cascade`), /is not the one that was loaded/],
    ['a slot that was dropped', () => source.query('select pg_drop_replication_slot($1)', [slot]), /^The replication slot sluice_trending is gone/],
  ])('%s: the pipeline is to be loaded anew', async (_, breaking, found) => {
    await breaking();
    const [finding, ...others] = await notOk();
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ service: 'source', pipeline: 'trending', state: 'wrong', found: expect.stringMatching(found) as string });
    expect(finding!.mend).toBe('Load the pipeline anew: ./sluice recover trending');
    // which begins with this
    await markForLoad(state, 'trending', (await readShard(state, 'trending'))!.epoch);
    // what its first load needs, a role that reads only does not have
    expect((await notOk()).every(({ mend }) => /^(ALTER PUBLICATION|GRANT) /.test(mend!))).toBe(true);
    await load();
    expect(await notOk()).toEqual([]);
  });

  test('a pipeline that is not loaded yet lacks the rights by which its publication is made', async () => {
    await state.query("update sluice.shard set state = 'loading'");
    await source.query(`drop publication ${publication}; create role sluice_owner; grant sluice_owner to current_user; alter table posts owner to sluice_owner; alter table post_views owner to sluice_owner; grant select on posts, post_views to ${role}`);
    const findings = await notOk();
    const database = new URL(sourceDatabase.url).pathname.slice(1);
    expect(new Set(findings.map(({ mend }) => mend))).toEqual(new Set([`GRANT CREATE ON DATABASE ${database} TO ${role};`, `GRANT sluice_owner TO ${role};`]));
    for (const { mend } of findings) await source.query(mend!);
    expect(await notOk()).toEqual([]);
    // with them, the role itself can
    const itself = new Client({ connectionString: config.sourceUrl });
    await itself.connect();
    await itself.query(`create publication ${publication} for table posts, post_views; drop publication ${publication}`).finally(() => itself.end());
    await source.query('reassign owned by sluice_owner to current_user; drop owned by sluice_owner; drop role sluice_owner');
    await load();
    expect(await notOk()).toEqual([]);
  });

  test.each([
    ['evicts', ['maxmemory-policy', 'allkeys-lru'], 'wrong', 'CONFIG SET maxmemory-policy noeviction'],
    ['keeps no log', ['appendonly', 'no'], 'warning', 'CONFIG SET appendonly yes'],
  ] as const)('Redis that %s is named, and what is said to mend it does', async (_, [name, value], is, mend) => {
    await redis.config('SET', name, value);
    expect(await notOk()).toMatchObject([{ service: 'redis', state: is, mend }]);
    const [command, ...words] = mend.split(' ');
    await redis.call(command!, ...words);
    expect(await notOk()).toEqual([]);
  });

  /** Temporal's own caches know of a namespace after ten seconds, and of its search attributes likewise. */
  const patienceMs = 60_000;
  test('a namespace that Temporal does not have, and then its search attributes, are made by what is said', async () => {
    const temporalNamespace = 'doctor';
    const mend = async () => {
      const [finding, ...others] = await notOk({ temporalNamespace });
      expect(others).toEqual([]);
      expect(finding).toMatchObject({ service: 'temporal', state: 'wrong' });
      const [program, ...words] = finding!.mend!.split(' ');
      expect(program).toBe('temporal');
      await promisify(execFile)(temporalCommand(partsFolder), words);
      return finding!.found;
    };
    expect(await mend()).toBe('There is no namespace doctor.');
    await until(async () => (await notOk({ temporalNamespace })).every(({ found }) => found !== 'There is no namespace doctor.'), 'the namespace is there', patienceMs);
    const left = await notOk({ temporalNamespace });
    if (left.length > 0) expect(await mend()).toMatch(/lacks the search attributes SluicePipeline/);
    await until(async () => (await notOk({ temporalNamespace })).length === 0, 'the search attributes are there', patienceMs);
  }, 4 * patienceMs);

  test('whoever does not answer is named, with what to set, and the others are asked all the same', async () => {
    const away = '127.0.0.1:9';
    const findings = await notOk({ sourceUrl: `postgres://${away}/x`, stateUrl: `postgres://${away}/x`, redisUrl: `redis://${away}`, clickhouseUrl: `http://${away}`, temporalAddress: away });
    expect(findings.map(({ service, state: is, mend }) => [service, is, mend])).toEqual([
      ['source', 'wrong', './sluice up, or set SLUICE_SOURCE_URL'],
      ['state', 'wrong', './sluice up, or set SLUICE_STATE_URL'],
      ['redis', 'wrong', './sluice up, or set SLUICE_REDIS_URL'],
      ['clickhouse', 'wrong', './sluice up, or set SLUICE_CLICKHOUSE_URL'],
      ['temporal', 'wrong', './sluice up, or set TEMPORAL_ADDRESS'],
    ]);
    for (const { found } of findings.slice(0, 4)) expect(found).toContain('ECONNREFUSED');
  });

  test('without the state database, the source is asked what it can be', async () => {
    await source.query(`revoke select on posts from ${role}`);
    const findings = await notOk({ stateUrl: 'postgres://127.0.0.1:9/x' });
    expect(findings.map(({ service, mend }) => [service, mend])).toEqual([['source', `GRANT SELECT ON public.posts TO ${role};`], ['state', './sluice up, or set SLUICE_STATE_URL']]);
    await source.query(findings[0]!.mend!);
  });
});
