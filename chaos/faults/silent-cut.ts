import type { Proxied } from '../addresses.ts';
import { type Destination, destinations } from '../destinations.ts';
import { type Fault, struckMs } from '../fault.ts';
import { until } from '../until.ts';

const between: Readonly<Record<Proxied, { readonly title: string; readonly expected: string }>> = {
  source: { title: 'the source', expected: 'The capture asks, hears nothing for 30 s, and connects again; the slot is taken over from the walsender that still holds it.' },
  state: { title: 'the state database', expected: 'A query that hears nothing for 120 s counts as failed; its lane tries again on another connection, and finds at its fence what was done.' },
  redis: { title: 'Redis', expected: 'A command that hears nothing for 60 s counts as failed; its lane connects anew, and finds at its fence what was done.' },
  clickhouse: { title: 'ClickHouse', expected: 'A request that hears nothing for 25 s counts as failed; its lane asks on another connection for the fence, and repeats what is above it.' },
  temporal: { title: 'Temporal', expected: 'Lanes that have a step go on meanwhile (E25); the worker asks each 30 s whether somebody is there, hears nothing for 15 s, and connects again.' },
};

/** No RST, no FIN: who waits for an answer there waits until his own patience ends. */
export const silentCuts: readonly Fault[] = (Object.keys(between) as Proxied[]).map((name) => {
  const { title, expected } = between[name];
  const destination: Destination | undefined = destinations.find((each) => each.proxy === name);
  return {
    name: `${name}/silent-cut`,
    what: `The network between worker and ${title} swallows every packet of the connections that are open, and tells nobody.`,
    expected,
    drawn: true,
    unfit: (world) => (destination && destination.lane(world) === undefined ? `Pipeline ${world.name} has no lane for ${name}.` : undefined),
    async strike(world, _, signal) {
      const way = world.proxies[name];
      const before = way.counts.swallowed;
      const wires = way.connections;
      way.set({ tag: 'swallow' });
      try {
        await until('something to be swallowed', () => way.counts.swallowed > before, { timeoutMs: struckMs, everyMs: 5, signal });
      } finally {
        // those that were open stay dead
        way.set({ tag: 'pass' });
      }
      const deadAt = performance.now();
      const after = async () => {
        await until('the worker to connect again', () => way.connections > 0, { timeoutMs: struckMs, signal });
        return `within ${((performance.now() - deadAt) / 1000).toFixed(1)} s the worker had new ones`;
      };
      return { evidence: `${wires} connections went dead without a word`, after };
    },
  };
});
