import type { Proxied } from './addresses.ts';
import type { ProcessName } from './processes.ts';
import type { World } from './world.ts';

/** A destination as faults of every kind see it. */
export type Destination = {
  readonly name: 'redis' | 'clickhouse' | 'http' | 'state';
  /** How its lane is found. */
  readonly lane: (world: World) => string | undefined;
  /** What stops it; undefined: only the way to it is cut (the state database is in the source's server). */
  readonly process: ProcessName | undefined;
  readonly proxy: Proxied | undefined;
  /** What the lane says of one that is not there. */
  readonly away: RegExp;
  /** Bytes of requests after which a connection breaks: in the middle of an insert, a script, a transaction. */
  readonly severAfterBytes: number;
  /** Each way. */
  readonly slowMs: number;
};

export const destinations: readonly Destination[] = [
  { name: 'redis', lane: (world) => world.laneOf('redis-live') ?? world.laneOf('redis-results'), process: 'redis', proxy: 'redis', away: /Redis/, severAfterBytes: 3_000, slowMs: 400 },
  { name: 'clickhouse', lane: (world) => world.laneOf('clickhouse'), process: 'clickhouse', proxy: 'clickhouse', away: /ClickHouse/, severAfterBytes: 20_000, slowMs: 500 },
  { name: 'http', lane: (world) => world.laneOf('http'), process: 'receiver', proxy: undefined, away: /answered 50\d|ECONNRE|socket hang up/, severAfterBytes: 0, slowMs: 2_000 },
  { name: 'state', lane: () => 'aggregate', process: undefined, proxy: 'state', away: /.*/, severAfterBytes: 6_000, slowMs: 60 },
];
