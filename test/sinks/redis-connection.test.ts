import { once } from 'node:events';
import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { Proxy } from '../../chaos/proxy.ts';
import { until } from '../../chaos/until.ts';
import { classified, connectRedis } from '../../connectors/redis/client.ts';
import { TransientError } from '../../connectors/transient-error.ts';
import { throwAwayRedis } from '../embedded/services.ts';

/** A connection as lanes have it, by a way that accepts connections whether the server is there or not. */
async function open() {
  const stack = new AsyncDisposableStack();
  const { url } = stack.use(await throwAwayRedis());
  const { hostname, port, pathname } = new URL(url);
  const server = stack.adopt(await Proxy.listen(0, { host: hostname, port: Number(port) }), (proxy) => proxy.close());
  const way = stack.adopt(await Proxy.listen(0, { host: '127.0.0.1', port: server.port }), (proxy) => proxy.close());
  const redis = stack.adopt(connectRedis(`redis://127.0.0.1:${way.port}${pathname}`), (each) => each.disconnect());
  const beside = stack.adopt(new Redis(url), (each) => each.disconnect());
  await redis.set('calls', '0');
  return {
    server,
    redis,
    beside,
    /** A call that the server has done, and whose answer does not come; `failure` is what becomes of it. */
    async unanswered() {
      server.set({ tag: 'hold', what: 'answers' });
      const failure = classified('top', () => redis.incr('calls')).then(() => undefined, (error: Error) => error);
      await until('the server to answer', () => server.counts.held > 0, { timeoutMs: 5_000, everyMs: 1, signal: new AbortController().signal });
      return { failure };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const away = /^Redis, key top: it cannot be reached, or the connection to it broke/;

describe('a connection to a Redis that goes away', () => {
  test('the call that was under way fails at once, and so does every other until it is back', async () => {
    await using place = await open();
    const { server, redis } = place;
    const { failure } = await place.unanswered();
    await server.close();
    const startedAt = performance.now();
    expect(await failure).toBeInstanceOf(TransientError);
    expect((await failure)?.message).toMatch(away);
    await expect(classified('top', () => redis.get('calls'))).rejects.toThrow(away);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test('nothing is sent a second time: a lane asks for the fence first', async () => {
    await using place = await open();
    const { server, redis } = place;
    const { failure } = await place.unanswered();
    server.cut();
    server.set({ tag: 'pass' });
    expect((await failure)?.message).toMatch(away);
    expect(await redis.get('calls')).toBe('1');
  });

  test('after a failover the old master is a replica: the call says so, and another connection is made', async () => {
    await using place = await open();
    const { redis, beside } = place;
    const before = await redis.client('ID');
    await beside.replicaof('127.0.0.1', '1');
    try {
      await expect(classified('top', () => redis.incr('calls'))).rejects.toThrow(/^Redis, key top: READONLY/);
      await once(redis, 'close');
    } finally {
      await beside.replicaof('NO', 'ONE');
    }
    await once(redis, 'ready');
    expect(await redis.client('ID')).toBeGreaterThan(before);
  });
});
