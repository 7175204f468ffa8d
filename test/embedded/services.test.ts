import { createClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import { clickhouse } from '../../infra/embedded/clickhouse.ts';
import { postgres } from '../../infra/embedded/postgres.ts';
import { redis } from '../../infra/embedded/redis.ts';
import { temporal } from '../../infra/embedded/temporal.ts';
import { services, throwAwayClickhouse, throwAwayDatabase, throwAwayRedis } from './services.ts';

describe('embedded services', () => {
  test('all answer', async () => {
    const { sourceUrl, stateUrl, redisUrl, clickhouseUrl, temporalAddress } = services();
    await Promise.all([
      postgres.check(sourceUrl),
      postgres.check(stateUrl),
      redis.check(redisUrl),
      clickhouse.check(clickhouseUrl),
      temporal.check(temporalAddress),
    ]);
  });

  test('PostgreSQL is 18, decodes logically, and asks for its password', async () => {
    const url = new URL(services().sourceUrl);
    expect(await ask(url.href, 'show server_version_num')).toMatch(/^18/);
    expect(await ask(url.href, 'show wal_level')).toBe('logical');
    url.password = 'wrong';
    await expect(ask(url.href, 'select 1')).rejects.toThrow(/password authentication failed/);
  });

  test('the sample tables are there with full replica identity', async () => {
    const identities = await ask(
      services().sourceUrl,
      `select string_agg(relname || ' ' || relreplident::text, ', ' order by relname) from pg_class
        where relname in ('posts', 'post_views', 'content', 'engagement_events')`,
    );
    expect(identities).toBe('content f, engagement_events f, post_views f, posts f');
  });

  test('Redis evicts nothing and keeps a log', async () => {
    const client = new Redis(services().redisUrl);
    const settings = await client.config('GET', 'maxmemory-policy', 'appendonly').finally(() => client.disconnect());
    expect(settings).toEqual(expect.arrayContaining(['noeviction', 'yes']));
  });

  test('a throw-away database goes with its slots', async () => {
    let url: string;
    {
      await using database = await throwAwayDatabase();
      url = database.url;
      await ask(url, `select pg_create_logical_replication_slot('${new URL(url).pathname.slice(1)}', 'pgoutput')`);
    }
    await expect(ask(url, 'select 1')).rejects.toThrow(/does not exist/);
    const slots = `select count(*) from pg_replication_slots where database = '${new URL(url).pathname.slice(1)}'`;
    expect(await ask(services().stateUrl, slots)).toBe('0');
  });

  test('throw-away ClickHouse and Redis databases are their own', async () => {
    await using warehouse = await throwAwayClickhouse();
    const client = createClient({ url: warehouse.url });
    await client.command({ query: 'CREATE TABLE t (x UInt128) ENGINE = MergeTree ORDER BY x' });
    await client.close();
    await using one = await throwAwayRedis();
    await using other = await throwAwayRedis();
    expect(one.url).not.toBe(other.url);
  });
});

async function ask(connectionString: string, query: string): Promise<unknown> {
  const client = new Client({ connectionString });
  try {
    await client.connect();
    const { rows } = await client.query<unknown[]>({ text: query, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}
