import type { Redis } from 'ioredis';
import type { RedisFacts } from '../../core/doctor.ts';
import { ConfigurationError } from '../sink.ts';
import { connectRedis, demandNoEviction } from './client.ts';

/** What `doctor` asks of Redis, by INFO alone: CONFIG is often not allowed. */
export async function readRedisFacts(url: string): Promise<RedisFacts> {
  const redis = connectRedis(url);
  // the call itself says only that the connection is closed
  const refused = new Promise<never>((_, reject) => redis.once('error', reject));
  try {
    return await Promise.race([refused, asked(redis, new URL(url))]);
  } finally {
    redis.disconnect();
  }
}

async function asked(redis: Redis, { host, protocol }: URL): Promise<RedisFacts> {
  const server = await redis.info('server');
  const persistence = await redis.info('persistence');
  const valkey = /^valkey_version:(\S+)/m.exec(server)?.[1];
  const appends = /^aof_enabled:(\d)/m.exec(persistence)?.[1];
  return {
    version: valkey === undefined ? `Redis ${/^redis_version:(\S+)/m.exec(server)?.[1] ?? 'of an unknown version'}` : `Valkey ${valkey}`,
    eviction: await demandNoEviction(redis).then(() => undefined, asProblem),
    appends: appends === undefined ? undefined : appends === '1',
    host,
    isEncrypted: protocol === 'rediss:',
  };
}

function asProblem(error: unknown): ConfigurationError {
  if (error instanceof ConfigurationError) return error;
  throw error;
}
