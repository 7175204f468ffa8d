import type { Redis } from 'ioredis';
import type { RedisKeys } from '../../core/redis-keys.ts';
import { classified, connectRedis } from './client.ts';

/** How many of a sink's keys there are. `key`: the sink's own, which errors name. */
export function countKeys(url: string, key: string, keys: RedisKeys): Promise<number> {
  return connected(url, key, async (redis) => {
    let count = 0;
    for await (const found of present(redis, keys)) count += found.length;
    return count;
  });
}

/** Returns how many there were. `assertCurrent`: asked before each piece of them goes; throws if it is not to go any more. */
export function dropKeys(url: string, key: string, keys: RedisKeys, assertCurrent: () => Promise<void>): Promise<number> {
  return connected(url, key, async (redis) => {
    let count = 0;
    for await (const found of present(redis, keys)) {
      await assertCurrent();
      count += await redis.unlink(found);
    }
    return count;
  });
}

/** In pieces, none of which is empty. SCAN may say one twice, which is then not there any more. */
async function* present(redis: Redis, { names, families }: RedisKeys): AsyncGenerator<string[]> {
  const there = await Promise.all(names.map(async (name) => ((await redis.exists(name)) === 1 ? [name] : [])));
  if (there.flat().length > 0) yield there.flat();
  for (const family of families) {
    const match = `${family.replace(/[\\*?[\]]/g, '\\$&')}*`;
    for await (const found of redis.scanStream({ match, count: 1_000 })) if ((found as string[]).length > 0) yield found as string[];
  }
}

function connected<T>(url: string, key: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  return classified(key, async () => {
    const redis = connectRedis(url);
    try {
      return await work(redis);
    } finally {
      redis.disconnect();
    }
  });
}
