import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensurePublication, readSourceCatalog } from '../../connectors/postgres/source-catalog.ts';
import { readSourceFacts } from '../../connectors/postgres/source-facts.ts';
import { resolve } from '../../core/define/resolve.ts';
import { sourceNeeds } from '../../core/init/source-needs.ts';
import type { Pipeline, Text } from '../../core/pipeline.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { throwAwayDatabase, type ThrowAway } from '../embedded/services.ts';

// 63 bytes each
const long = `${'Ü'.repeat(31)}x`;
const order = `Order's${'ß'.repeat(28)}`;
const folder = join(checkout, '.sluice', 'init-test', String(process.pid));

describe('./sluice init on a real database', () => {
  let database: ThrowAway;
  let source: Client;

  beforeAll(async () => {
    await mkdir(folder, { recursive: true });
    database = await throwAwayDatabase();
    source = new Client({ connectionString: database.url });
    await source.connect();
    await source.query(`
      create table pgbench_branches (bid int primary key, bbalance int, filler char(88), made_at timestamptz not null default now());
      create table pgbench_accounts (aid int primary key, bid int references pgbench_branches, abalance int, filler char(84), created_at timestamptz not null default now(), changed timestamp);
      create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
      insert into pgbench_branches select n, 0, '' from generate_series(1, 5) n;
      insert into pgbench_accounts select n, n % 5 + 1, 0, '' from generate_series(1, 1000) n;

      create schema "Sales"; create type mood as enum ('ok', 'bad'); create domain word as text; create domain words as text[];
      create table "Sales"."${order}" ("Id" uuid primary key, "${long}" text, "it's ""quoted"" \\ \u2028 */" int, "When?" timestamp not null, "1" int, "Mood" mood not null,
        word word, words words, span int4range, took interval, at_day date, doc jsonb, bytes bytea, price numeric(10, 2), f4 real, f8 float8, small smallint, flag boolean, big bigint, raw json, x xml, o oid, _hidden int,
        twice int generated always as (small * 2) stored);

      create table visits (id bigint, page text not null, at timestamptz, primary key (id, at)) partition by range (at);
      create table visits_old partition of visits for values from (minvalue) to ('2026-01-01');
      create table "Visits new" partition of visits for values from ('2026-01-01') to (maxvalue);
      insert into visits select n, 'page ' || n % 7, '2026-02-01'::timestamptz + n * interval '1 s' from generate_series(1, 1000) n;

      create table lines (order_id int, line int, at timestamptz, primary key (order_id, line));
      create view seen as select * from visits;
      analyze`);
  });

  afterAll(async () => {
    await source?.end();
    await database?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  /** As one types it, without a terminal. */
  function init(name: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return new Promise((done) => {
      const typed = ['--disable-warning=ExperimentalWarning', join(checkout, 'cli/main.ts'), 'init', name, '--source', database.url, '--out', join(folder, `${name}.ts`), ...args];
      execFile(process.execPath, typed, { env: { ...process.env, NO_COLOR: '1' } }, (error, stdout, stderr) => done({ code: Number(error?.code ?? 0), stdout, stderr }));
    });
  }

  async function written(name: string): Promise<Pipeline> {
    const { default: pipeline } = (await import(pathToFileURL(join(folder, `${name}.ts`)).href)) as { default: Pipeline<Text> };
    return resolve(pipeline, {});
  }

  /** What is typed as it says is enough for the product, and less is not. */
  async function fulfilled(name: string, ...args: string[]): Promise<Pipeline> {
    const { code, stdout, stderr } = await init(name, ...args, '--json');
    expect([code, stderr]).toEqual([0, '']);
    const { needs } = JSON.parse(stdout) as { needs: { sql: string }[] };
    const pipeline = await written(name);
    for (const { sql } of needs) {
      await expect(readSourceCatalog(source, pipeline, { columns: true })).rejects.toThrow('REPLICA IDENTITY FULL');
      await source.query(sql);
    }
    await readSourceCatalog(source, pipeline, { columns: true });
    return pipeline;
  }

  test('pgbench: counts by branch, and needs REPLICA IDENTITY FULL', async () => {
    const pipeline = await fulfilled('accounts', '--table', 'pgbench_accounts', '--event-time', 'created_at', '--sinks', 'clickhouse,redis,results');
    expect(pipeline.source.events).toMatchObject({ relation: 'public.pgbench_accounts', key: 'aid', eventTime: 'created_at', columns: { aid: { type: 'int4', nullable: false }, filler: { type: 'text', nullable: true } } });
    expect(pipeline.views).toMatchObject({ per_minute: { key: 'bid', window: { sizeMs: 60_000 } } });
    expect(Object.values(pipeline.sinks).map(({ kind }) => kind)).toEqual(['clickhouse', 'redis-results', 'postgres-results']);
  });

  test('names of every kind and types of every kind', async () => {
    const pipeline = await fulfilled('sales', '--table', `Sales.${order}`, '--yes');
    const { columns, key, eventTime } = pipeline.source.events;
    expect([key, eventTime, pipeline.views['per_minute']!.key]).toEqual(['Id', 'When?', 'Mood']);
    expect(columns).toMatchObject({ [long]: { type: 'text' }, Mood: { type: 'text', interned: true }, word: { type: 'text' }, words: { type: 'other' }, took: { type: 'other' }, twice: { type: 'int4' }, x: { type: 'text' } });
    expect(Object.keys(columns)).not.toContain('_hidden');
    expect(Object.keys(columns)).not.toContain('o');
    expect(Object.keys(columns)).toHaveLength(22);
  });

  test('a partitioned table: unique with its partition column, and each partition needs its own', async () => {
    const pipeline = await fulfilled('visits', '--table', 'visits', '--yes');
    expect(pipeline.source.events).toMatchObject({ key: 'id', eventTime: 'at', columns: { page: { interned: true } } });
    const { tables } = await readSourceFacts(source, 'visits');
    expect(tables.find(({ name }) => name === 'visits')).toMatchObject({ partitioned: true, rows: 1_000, primaryKey: ['id', 'at'], unique: ['id'], withoutIdentity: [] });
    expect(tables.map(({ name }) => name)).toEqual(['lines', 'pgbench_accounts', 'pgbench_branches', 'pgbench_history', 'visits', order]);
  });

  test('append-only needs nothing', async () => {
    const { stdout } = await init('branches', '--table', 'pgbench_branches', '--append-only', '--sinks', 'clickhouse');
    expect(stdout).toContain('The source needs nothing more.');
    expect(stdout).toContain('CREATE INDEX CONCURRENTLY ON public.pgbench_branches ("made_at");');
    await readSourceCatalog(source, await written('branches'), { columns: true });
  });

  test('tsc accepts what was written', async () => {
    const config = join(folder, 'tsconfig.json');
    await writeFile(config, JSON.stringify({ extends: join(checkout, 'tsconfig.json'), include: [], files: ['accounts.ts', 'sales.ts', 'visits.ts', 'branches.ts'] }));
    const output = await new Promise<string>((done) => execFile(join(checkout, 'node_modules/.bin/tsc'), ['--noEmit', '-p', config], (_, stdout, stderr) => done(stdout + stderr)));
    expect(output).toBe('');
  });

  test('the password is in no file and no output, and a file that somebody has changed is not replaced', async () => {
    const { password } = new URL(database.url);
    const first = await init('kept', '--table', 'visits', '--sinks', 'results');
    expect(first.stdout).toContain(':PASSWORD@');
    const file = join(folder, 'kept.ts');
    const text = await readFile(file, 'utf8');
    expect(text).toContain('results({');
    const again = await init('kept', '--table', 'visits', '--sinks', 'results');
    expect(again).toMatchObject({ code: 2, stderr: `${file} is there already, and was left as it is. Delete it, or choose another name, or write elsewhere with --out FILE.\n` });
    // as it would be written
    expect((await init('kept', '--table', 'visits', '--sinks', 'results', '--yes')).code).toBe(0);
    const edited = `${text}// mine\n`;
    await writeFile(file, edited);
    expect(await init('kept', '--table', 'visits', '--sinks', 'results', '--yes')).toEqual({ ...again, stdout: '' });
    expect(await readFile(file, 'utf8')).toBe(edited);
    for (const each of [text, first.stdout, first.stderr, again.stderr]) expect(each).not.toContain(password);
    await rm(file);
    expect((await init('kept', '--table', 'visits', '--sinks', 'clickhouse', '--yes')).code).toBe(0);
    expect(await readFile(file, 'utf8')).toContain('clickhouse({');
  });

  test('an address that lacks its password', async () => {
    const bare = new URL(database.url);
    bare.password = '';
    const { code, stderr } = await init('bare', '--source', bare.href);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/cannot be looked at: Postgres, source: the server asks for a password, and the URL has none\. Write it as postgres:\/\/user:password@host:5432\/database\. Correct --source or SLUICE_SOURCE_URL/) as string });
  });

  test('without a terminal it says which flag, and lists what can be', async () => {
    const table = await init('asked');
    expect(table.code).toBe(2);
    expect(table.stderr).toMatch(/^Whose changes are the events\? Say it with --table/);
    expect(table.stderr).toMatch(/ {2}public\.visits +about 1,000 rows, partitioned; primary key \(id, at\); replica identity (default|full); times: at\n/);
    expect(table.stderr).toMatch(/\nThe primary key of public\.lines is \(order_id, line\), and the key of a definition is one column.*\n/);
    expect(table.stderr).toMatch(/\nTable public\.pgbench_history has no primary key/);
    expect((await init('asked', '--table', 'pgbench_accounts')).stderr).toMatch(/Say it with --event-time, for example --event-time 'created_at'.*\n {2}created_at +timestamp with time zone\n {2}changed /);
    expect((await init('asked', '--table', 'visits')).stderr).toMatch(/^Where to\? Say it with --sinks/);
  });

  test('a role that may too little is told what it lacks, and with that can publish and be read', async () => {
    await source.query(`create role "Init owner"; create schema own authorization "Init owner"; create table own.things (id int primary key, at timestamptz not null); alter table own.things owner to "Init owner"; create role "Init reader"`);
    const asReader = async <T>(work: () => Promise<T>): Promise<T> => {
      await source.query('set session authorization "Init reader"');
      return work().finally(() => source.query('reset session authorization'));
    };
    try {
      await init('things', '--table', 'own.things', '--yes');
      const pipeline = await written('things');
      const facts = await asReader(() => readSourceFacts(source, 'things'));
      expect(facts.role).toBe('Init reader');
      const needs = sourceNeeds(facts, facts.tables.find(({ schema }) => schema === 'own')!, false).map(({ sql }) => sql);
      expect(needs).toEqual([
        'ALTER ROLE "Init reader" REPLICATION;',
        `GRANT CREATE ON DATABASE "${facts.database}" TO "Init reader";`,
        'GRANT "Init owner" TO "Init reader";',
        'GRANT USAGE ON SCHEMA "own" TO "Init reader";',
        'GRANT SELECT ON own.things TO "Init reader";',
        'GRANT pg_read_all_stats TO "Init reader";',
        'ALTER TABLE own.things REPLICA IDENTITY FULL;',
      ]);
      await expect(asReader(() => ensurePublication(source, pipeline))).rejects.toThrow(/permission denied/);
      for (const sql of needs) await source.query(sql);
      await asReader(async () => {
        await readSourceCatalog(source, pipeline, { columns: true });
        await ensurePublication(source, pipeline);
        const after = await readSourceFacts(source, 'things');
        expect(sourceNeeds(after, after.tables.find(({ schema }) => schema === 'own')!, false)).toEqual([]);
      });
    } finally {
      await source.query('drop owned by "Init reader", "Init owner" cascade; drop role "Init reader", "Init owner"');
    }
  });
});
