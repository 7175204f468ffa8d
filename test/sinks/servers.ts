import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Redis } from 'ioredis';

export const secret = `whsec_${Buffer.from('a secret of 24 bytes, ok').toString('base64')}`;

export async function listen(server: Server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { address, [Symbol.asyncDispose]: async () => void (server.closeAllConnections(), server.close()) };
}

type Line = { key: string; position: string; row: Record<string, unknown> };

/** What the receiver's events add up to. */
export async function foldedAt(address: string): Promise<Line[]> {
  const text = await (await fetch(`${address}/folded`)).text();
  return text.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Line);
}

/** Really: what has a time to live goes as soon as there is no memory left for a write. */
export async function evictVolatile(redis: Redis): Promise<void> {
  await redis.set('volatile', 'x', 'EX', 60);
  await redis.config('SET', 'maxmemory-policy', 'volatile-lru');
  await redis.config('SET', 'maxmemory', '1');
  try {
    await redis.set('any', 'x').catch(() => {});
  } finally {
    await redis.config('SET', 'maxmemory', '0');
    await redis.config('SET', 'maxmemory-policy', 'noeviction');
  }
}
