import { type ClickHouseClient, createClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import type { Config } from '../core/config.ts';

/** The source and what keeps the results, as a comparison reads them. */
export type Stores = AsyncDisposable & { readonly source: Client; readonly state: Client; readonly redis: Redis; readonly clickhouse: ClickHouseClient };

export async function openStores(config: Config): Promise<Stores> {
  await using stack = new AsyncDisposableStack();
  const source = stack.adopt(new Client({ connectionString: config.sourceUrl }), (client) => client.end());
  const state = stack.adopt(new Client({ connectionString: config.stateUrl }), (client) => client.end());
  const redis = stack.adopt(new Redis(config.redisUrl), (client) => client.disconnect());
  const clickhouse = stack.adopt(createClient({ url: config.clickhouseUrl }), (client) => client.close());
  await Promise.all([source.connect(), state.connect()]);
  const owned = stack.move();
  return { source, state, redis, clickhouse, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
