import { randomBytes } from 'node:crypto';
import { createClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { inject } from 'vitest';
import type { Config } from '../../core/config.ts';

export type Services = Pick<
  Config,
  'sourceUrl' | 'stateUrl' | 'redisUrl' | 'clickhouseUrl' | 'temporalAddress' | 'temporalNamespace'
>;

declare module 'vitest' {
  interface ProvidedContext {
    services: Services;
    /** First of the ports of the shared instance; a test may use those from `portBase + 20` on. */
    portBase: number;
  }
}

/** The addresses of the real services that the integration tests share. */
export function services(): Services {
  return inject('services');
}

/** Something made for one test file: `await using` drops it at the end of its scope. */
export type ThrowAway = AsyncDisposable & { readonly url: string };

/** A database on the shared PostgreSQL. Dropping it drops its replication slots too. */
export async function throwAwayDatabase(): Promise<ThrowAway> {
  const server = new URL(services().stateUrl);
  const name = uniqueName();
  await onPostgres(server.href, (client) => client.query(`create database ${name}`));
  return {
    url: Object.assign(new URL(server), { pathname: `/${name}` }).href,
    [Symbol.asyncDispose]: () =>
      onPostgres(server.href, async (client) => {
        await client.query(
          'select pg_terminate_backend(active_pid) from pg_replication_slots where database = $1 and active',
          [name],
        );
        await client.query(
          `do $$ declare slot name; begin
             for attempt in 1..50 loop
               for slot in select slot_name from pg_replication_slots where database = '${name}' and not active loop
                 perform pg_drop_replication_slot(slot);
               end loop;
               exit when not exists (select from pg_replication_slots where database = '${name}');
               perform pg_sleep(0.1);
             end loop;
           end $$`,
        );
        await client.query(`drop database ${name} with (force)`);
      }),
  };
}

/** A database on the shared ClickHouse; the URL names it. */
export async function throwAwayClickhouse(): Promise<ThrowAway> {
  const url = new URL(services().clickhouseUrl);
  const name = uniqueName();
  const command = async (query: string) => {
    const client = createClient({ url: services().clickhouseUrl });
    await client.command({ query }).finally(() => client.close());
  };
  await command(`CREATE DATABASE ${name}`);
  return {
    url: Object.assign(url, { pathname: `/${name}` }).href,
    [Symbol.asyncDispose]: () => command(`DROP DATABASE ${name} SYNC`),
  };
}

/** A numbered database of the shared Redis. */
export async function throwAwayRedis(): Promise<ThrowAway> {
  const { redisUrl } = services();
  const database = await onRedis(redisUrl, (redis) => redis.incr('throw-away databases'));
  const url = `${redisUrl}/${database}`;
  return {
    url,
    async [Symbol.asyncDispose]() {
      await onRedis(url, (redis) => redis.flushdb());
    },
  };
}

function uniqueName(): string {
  return `test_${randomBytes(6).toString('hex')}`;
}

async function onPostgres(connectionString: string, use: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  await use(client).finally(() => client.end());
}

async function onRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  return use(redis).finally(() => redis.disconnect());
}
