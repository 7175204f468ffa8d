import { sourceNames } from '../connectors/postgres/source-catalog.ts';
import type { Lsn } from '../core/position.ts';
import { receiveBare } from './bare.ts';
import { receiveByTool } from './recvlogical.ts';
import { dropSlot, freshSlot, writeMarker } from './slots.ts';
import type { World } from './world.ts';

/** Events that wait in the slots of paused pipelines, and how fast they come if one only receives them. */
export type Backlog = {
  readonly events: number;
  /** A fence at or above it has all of them. */
  readonly last: Lsn;
  /** Events per second. */
  readonly bare: number;
  /** Likewise by pg_recvlogical; null: it is not installed. */
  readonly tool: number | null;
  /** CPU seconds for a million events that the source's walsender took while they were only received. */
  readonly walsenderAlone: number;
};

/** `last` as of `fill`. */
export type Writing = () => Promise<{ readonly events: number; readonly last: Lsn }>;

const bareSlot = 'sluice_bench_bare';
const toolSlot = 'sluice_bench_tool';
const marker = 'sluice bench';

/** Writes while everything is paused, and receives what was written from slots of its own, with the publication of a pipeline. */
export async function writeBacklog({ client, config, signal }: World, pipeline: string, write: Writing): Promise<Backlog> {
  const { publication } = sourceNames(pipeline);
  const from = await freshSlot(client, bareSlot);
  const { events, last } = await write();
  const end = await writeMarker(client, marker);
  await client.query('select pg_copy_logical_replication_slot($1, $2)', [bareSlot, toolSlot]);
  const bare = await receiveBare({ url: config.sourceUrl, slot: bareSlot, publication, from, marker });
  if (bare.rows !== events) throw new Error(`Bare receiving got ${bare.rows} of ${events} events: somebody else writes to this source.`);
  const toolSeconds = await receiveByTool({ url: config.sourceUrl, slot: toolSlot, publication, end });
  await dropSlot(client, bareSlot);
  await dropSlot(client, toolSlot);
  signal.throwIfAborted();
  return { events, last, bare: events / bare.seconds, tool: toolSeconds === undefined ? null : events / toolSeconds, walsenderAlone: (bare.walsenderCpu * 1e6) / events };
}
