import { readdir, readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DidNotStrike, type Fault } from '../fault.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

const unfit = (world: World) => (world.laneOf('redis-live') === undefined ? `Pipeline ${world.name} has no live structure in Redis.` : undefined);

const tailLost: Fault = {
  name: 'redis/aof-tail-lost',
  what: 'Redis is killed, the last 5 s of its append-only file are cut off, and it is started again.',
  expected: 'Its fence is behind the lane\'s: the lane goes back to it and applies what follows from the spool (I4).',
  drawn: true,
  unfit,
  async strike(world, _, signal) {
    const before = await appendOnlyFile(world);
    const { size: keptBytes } = await stat(before);
    await sleep(5_000, undefined, { signal });
    // another fault may have kept the worker from writing
    const written = async () => {
      const file = await appendOnlyFile(world);
      return { file, size: (await stat(file)).size };
    };
    await until('Redis to write something', async () => (({ file, size }) => file !== before || size > keptBytes)(await written()), { timeoutMs: 30_000, signal });
    await world.processes.stop('redis', []);
    const { file, size } = await written();
    if (file !== before || size <= keptBytes) {
      await world.processes.start('redis', signal);
      throw new DidNotStrike(`The append-only file was rewritten meanwhile (${keptBytes}, ${size}).`);
    }
    await truncate(file, keptBytes);
    await world.processes.start('redis', signal);
    return { evidence: `${size - keptBytes} of ${size} bytes were cut off` };
  },
};

/** The one that is written to, as the manifest says. */
async function appendOnlyFile(world: World): Promise<string> {
  const folder = join(world.config.dataDir, 'redis', 'appendonlydir');
  const manifest = (await readdir(folder)).find((name) => name.endsWith('.manifest'))!;
  const names = [...(await readFile(join(folder, manifest), 'utf8')).matchAll(/^file (\S+) .*type i$/gm)];
  return join(folder, names.at(-1)![1]!);
}

const flushed: Fault = {
  name: 'redis/flushall',
  what: 'FLUSHALL under load.',
  expected: 'The fence is gone with the structures: they are made again out of the panes, and the leaderboard out of the outbox.',
  drawn: true,
  forgets: true,
  unfit,
  async strike(world) {
    const keys = await world.redis.dbsize();
    if (keys === 0) throw new DidNotStrike('Redis was empty.');
    await world.redis.flushall();
    return { evidence: `${keys} keys were removed` };
  },
};

/** Parks lanes that are to publish nothing that may vanish; a person puts it right and resumes. */
const evicted: Fault = {
  name: 'redis/eviction',
  what: 'Redis gets too little memory and allkeys-lru for 10 s, so that it evicts keys of ours.',
  expected: 'A lane that finds the policy parks with the command that mends it; structures that were evicted are made again.',
  drawn: true,
  forgets: true,
  unfit,
  async strike(world, _, signal) {
    const countEvicted = async () => Number(/^evicted_keys:(\d+)/m.exec(await world.redis.info('stats'))![1]);
    const before = await countEvicted();
    try {
      await world.redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
      await world.redis.config('SET', 'maxmemory', String(await halfOfMemory(world)));
      await until('keys to be evicted', async () => (await countEvicted()) > before, { timeoutMs: 30_000, signal });
      await sleep(10_000, undefined, { signal });
    } finally {
      await world.redis.config('SET', 'maxmemory', '0');
      await world.redis.config('SET', 'maxmemory-policy', 'noeviction');
    }
    const count = (await countEvicted()) - before;
    // a step that fails just now parks only when the workflow has seen it
    await sleep(1_000, undefined, { signal });
    const parked = await world.resumeParked(redisLanes(world), signal);
    return { evidence: `${count} keys were evicted${parked.length > 0 ? `; ${parked.join(', ')} had parked and were resumed` : ''}` };
  },
};

function redisLanes({ pipeline }: World): readonly string[] {
  return Object.entries(pipeline.sinks).flatMap(([lane, { kind }]) => (kind.startsWith('redis') ? [lane] : []));
}

async function halfOfMemory(world: World): Promise<number> {
  const memory = await world.redis.info('memory');
  const of = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(memory)![1]);
  // what the server itself takes cannot be evicted
  return Math.round(of('used_memory_overhead') + (of('used_memory') - of('used_memory_overhead')) / 2);
}

const full: Fault = {
  name: 'redis/out-of-memory',
  what: 'Redis has no memory left for 10 s (maxmemory, noeviction), and refuses every write.',
  expected: 'Its lanes say so and try again; nothing is half written, as a script is refused before it begins.',
  drawn: true,
  unfit,
  async strike(world, _, signal) {
    await world.redis.config('SET', 'maxmemory', '1');
    try {
      const said = await world.untilFailing(world.laneOf('redis-live')!, /OOM/, signal);
      await sleep(10_000, undefined, { signal });
      return { evidence: `the lane said: ${said}` };
    } finally {
      await world.redis.config('SET', 'maxmemory', '0');
    }
  },
};

export const redisFaults: readonly Fault[] = [tailLost, flushed, evicted, full];
