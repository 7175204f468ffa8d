import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { firstLoad } from '../../connectors/postgres/first-load.ts';
import { sourceNames } from '../../connectors/postgres/source-catalog.ts';
import { ConfigurationError, type Sink } from '../../connectors/sink.ts';
import { resolve } from '../../core/define/resolve.ts';
import definition from '../../pipelines/trending.ts';
import { services, throwAwayDatabase, type ThrowAway } from '../embedded/services.ts';

const pipeline = resolve(definition, {});
const { slot } = sourceNames(pipeline.name);

describe('a first load that fails', () => {
  let database: ThrowAway;
  let source: Client;
  beforeEach(async () => {
    database = await throwAwayDatabase();
    source = new Client({ connectionString: database.url });
    await source.connect();
    await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    await source.query('insert into post_views (viewed_at) select now() from generate_series(1, 10)');
  });
  afterEach(async () => {
    await source.end();
    await database[Symbol.asyncDispose]();
  });

  const slots = async () => (await source.query<{ slot_name: string }>('select slot_name from pg_replication_slots where database = current_database()')).rows.map(({ slot_name }) => slot_name);

  function loadInto(sink: Partial<Sink>) {
    const nothing = { readFence: async () => undefined, apply: async () => ({ events: 0 }), load: async () => {}, finishLoad: async () => {}, close: async () => {} };
    return firstLoad({ pipeline, sourceUrl: database.url, epoch: 1, sinks: new Map([['one', { ...nothing, ...sink }]]), assertCurrent: async () => {}, signal: new AbortController().signal, onProgress: () => {} });
  }
  const refuse = async () => {
    expect(await slots()).toEqual([slot]);
    throw new ConfigurationError('the table is missing');
  };

  test.each([['reading', { load: refuse }], ['finishing', { finishLoad: refuse }]])('while %s leaves no slot, which would hold the source\'s WAL for nobody', async (_, sink) => {
    await expect(loadInto(sink)).rejects.toThrow('the table is missing');
    expect(await slots()).toEqual([]);
  });

  test('leaves a slot that a later load has made under the same name', async () => {
    const superseded = async () => {
      await source.query('select pg_drop_replication_slot($1)', [slot]);
      await source.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
      return refuse();
    };
    await expect(loadInto({ finishLoad: superseded })).rejects.toThrow('the table is missing');
    expect(await slots()).toEqual([slot]);
  });

  test('says its own error if the source is away by then', async () => {
    const name = new URL(database.url).pathname.slice(1);
    await using server = new AsyncDisposableStack();
    // a database cannot be closed from within
    const client = server.adopt(new Client({ connectionString: services().stateUrl }), (each) => each.end());
    await client.connect();
    const away = async () => {
      await client.query(`alter database ${name} allow_connections false`);
      await client.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'sluice trending%' and datname = $1", [name]);
      return refuse();
    };
    await expect(loadInto({ finishLoad: away })).rejects.toThrow('the table is missing');
    expect(await slots()).toEqual([slot]);
  });
});
