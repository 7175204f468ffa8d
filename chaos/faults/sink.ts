import { setTimeout as sleep } from 'node:timers/promises';
import type { Proxied } from '../addresses.ts';
import { type Destination, destinations } from '../destinations.ts';
import { DidNotStrike, struckMs, type Fault } from '../fault.ts';
import { othersGoOn } from '../others.ts';
import type { ProxyMode } from '../proxy.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

const alone = 'Only its lanes wait and try again; all others go on.';

export const sinkFaults: readonly Fault[] = destinations.flatMap((destination) => {
  const fit = { unfit: (world: World) => (destination.lane(world) === undefined ? `Pipeline ${world.name} has no lane for ${destination.name}.` : undefined) };
  return [
    ...[
      { name: 'down', seconds: 12, drawn: true },
      { name: 'down-3m', seconds: 180, drawn: false },
    ].map(({ name, seconds, drawn }): Fault => ({
      name: `${destination.name}/${name}`,
      what: `${title(destination)} ${destination.process ? 'is stopped' : 'cannot be reached'} for ${seconds} s.`,
      expected: destination.name === 'state' ? 'Lanes that keep their fence there wait, and try again until it is back.' : alone,
      drawn,
      ...fit,
      strike: (world, _, signal, beside) => down(world, destination, seconds, signal, beside),
    })),
    {
      name: `${destination.name}/slow`,
      what: `${title(destination)} is slow for 15 s: ${destination.slowMs} ms ${destination.proxy ? 'each way' : 'for an answer'}.`,
      expected: 'Its lanes gather more segments into each call, and are as far behind as a call takes.',
      drawn: true,
      ...fit,
      strike: (world, _, signal) => (destination.proxy ? slow(world, destination.proxy, destination.slowMs, signal) : slowHttp(world, destination.slowMs, signal)),
    },
    ...(destination.proxy
      ? [
          {
            name: `${destination.name}/half-accepting`,
            what: `Connections to ${title(destination).toLowerCase()} are reset in the middle of requests for 10 s.`,
            expected: 'What was cut off is repeated from the fence; what had landed all the same is there once.',
            drawn: true,
            ...fit,
            strike: (world: World, _: unknown, signal: AbortSignal) => severed(world, destination.proxy!, destination.severAfterBytes, signal),
          },
        ]
      : []),
  ];
});

function title({ name }: Destination): string {
  return { redis: 'Redis', clickhouse: 'ClickHouse', http: 'The receiver', state: 'The state database' }[name];
}

async function down(world: World, { name: destination, process, proxy, lane, away }: Destination, seconds: number, signal: AbortSignal, beside: boolean) {
  const name = lane(world)!;
  const way = proxy === undefined ? undefined : world.proxies[proxy];
  const refusedBefore = way?.counts.refused ?? 0;
  try {
    if (process) await world.processes.stop(process);
    else way!.down();
    const startedAt = performance.now();
    // the state database cannot be told of itself
    const said = process ? await world.untilFailing(name, away, signal) : undefined;
    const others = beside || destination === 'state' ? '' : await othersGoOn(world, destination, signal);
    await sleep(Math.max(0, seconds * 1000 - (performance.now() - startedAt)), undefined, { signal });
    const refused = (way?.counts.refused ?? 0) - refusedBefore;
    if (!process && refused === 0) throw new DidNotStrike('Nobody tried to reach it.');
    return { evidence: said === undefined ? `${refused} connections were refused in ${seconds} s` : `it was away for ${seconds} s, and lane ${name} said: ${said}${others}` };
  } finally {
    if (process) await world.processes.start(process, signal);
    else way!.set({ tag: 'pass' });
  }
}

async function slow(world: World, proxy: Proxied, ms: number, signal: AbortSignal) {
  const bytes = await during(world, proxy, { tag: 'delay', ms }, 'delayed', 15_000, signal);
  return { evidence: `${bytes} bytes came ${ms} ms late` };
}

async function slowHttp(world: World, ms: number, signal: AbortSignal) {
  world.front.set({ tag: 'late', ms });
  try {
    await sleep(15_000, undefined, { signal });
    // beside another fault, the worker may not have been there
    await until('a message to meet it', () => world.front.struck > 0, { timeoutMs: struckMs, everyMs: 100, signal });
    return { evidence: `${world.front.struck} messages were answered after ${ms} ms` };
  } finally {
    world.front.set({ tag: 'pass' });
  }
}

async function severed(world: World, proxy: Proxied, afterBytes: number, signal: AbortSignal) {
  const count = await during(world, proxy, { tag: 'sever', afterBytes }, 'severed', 10_000, signal);
  return { evidence: `${count} connections were reset, each after ${afterBytes} bytes of requests` };
}

/** Lets the proxy behave so for a while; returns by how much its count of that has grown. */
async function during(world: World, proxy: Proxied, mode: ProxyMode, counted: 'delayed' | 'severed' | 'held', ms: number, signal: AbortSignal): Promise<number> {
  const way = world.proxies[proxy];
  const before = way.counts[counted];
  way.set(mode);
  try {
    await sleep(ms, undefined, { signal });
    await until('something to pass the proxy', () => way.counts[counted] > before, { timeoutMs: struckMs, everyMs: 100, signal });
  } finally {
    way.set({ tag: 'pass' });
  }
  return way.counts[counted] - before;
}

/** Answers come when the caller has given up, though the work is done. */
export const lateAnswers: readonly Fault[] = (['redis', 'clickhouse'] as const).map((name) => ({
  name: `${name}/answers-after-timeout`,
  what: `${name === 'redis' ? 'Redis' : 'ClickHouse'} gets every request and does it, and its answers come after the timeout of ${name === 'redis' ? 60 : 25} s.`,
  expected: 'The call counts as failed; the next attempt asks for the fence, and finds what was done.',
  drawn: false,
  unfit: (world) => (world.laneOf(name === 'redis' ? 'redis-live' : name) === undefined ? `Pipeline ${world.name} has no lane for ${name}.` : undefined),
  async strike(world, _, signal) {
    const way = world.proxies[name];
    const before = way.counts.held;
    way.set({ tag: 'hold', what: 'answers' });
    try {
      const said = await world.untilFailing(world.laneOf(name === 'redis' ? 'redis-live' : name)!, /time/i, signal);
      return { evidence: `${way.counts.held - before} bytes of answers were held back, and the lane said: ${said}` };
    } finally {
      way.set({ tag: 'pass' });
    }
  },
}));
