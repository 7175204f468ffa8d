import type { ClientConfig } from 'pg';
import { Client } from 'pg';
import { loadAnew } from '../../core/load-anew.ts';
import type { Lsn, Position } from '../../core/position.ts';
import { lsnText, parseLsn, parsePosition } from '../../core/position.ts';
import { ConfigurationError } from '../sink.ts';
import { switchPoint } from '../../core/timeline-history.ts';
import type { Confirmed, ShardState } from './shard-state.ts';
import type { SourceCatalog } from './source-catalog.ts';
import { sourceNames } from './source-catalog.ts';

/*
 * Whether the stream that a capture is about to read goes on where the last one ended. A slot does not say when it does
 * not, so everything is held against what was put on record. Each throws ConfigurationError.
 */

/** E1: positions of another server, or of a past that it no longer has, say nothing about its stream. */
export function assertSameSource(pipeline: string, shard: Pick<ShardState, 'systemIdentifier'>, start: Position, { systemIdentifier, walEnd }: SourceCatalog): void {
  if (systemIdentifier !== shard.systemIdentifier) {
    throw new ConfigurationError(`The source of pipeline ${pipeline} is another server than the one it was loaded from (system identifier ${systemIdentifier}, not ${shard.systemIdentifier}). Set SLUICE_SOURCE_URL to that one. ${loadAnew(pipeline)}`);
  }
  const { lsn } = parsePosition(start);
  if (lsn > walEnd) {
    throw new ConfigurationError(`The source of pipeline ${pipeline} was set back: its WAL ends at ${lsnText(walEnd)}, and changes up to ${lsnText(lsn)} were already taken from it. ${loadAnew(pipeline)}`);
  }
}

/**
 * E1: after a promotion, what was taken from the old timeline beyond the place where the new one begins never happened
 * there. `claimed`: the timeline that the chain was read from, undefined if no claim of it is left. Returns the present.
 */
export async function assertNoPhantoms(sourceUrl: string, pipeline: string, claimed: number | undefined, tail: Position): Promise<number> {
  const client = new Client({ connectionString: sourceUrl, application_name: `sluice ${pipeline} timeline`, replication: 'database', connectionTimeoutMillis: 10_000, query_timeout: 10_000 } as unknown as ClientConfig);
  client.on('error', () => {}); // the query says it
  try {
    await client.connect();
    // the catalogue tells the timeline of the last checkpoint, which a promotion may not have reached yet
    const { rows: [system] } = await client.query<{ timeline: number | string }>('IDENTIFY_SYSTEM');
    const timeline = Number(system!.timeline); // eight bytes wide from PostgreSQL 16 on
    if (claimed === undefined || timeline === claimed) return timeline;
    const { rows: [file] } = await client.query<{ content: Buffer }>(`TIMELINE_HISTORY ${timeline}`);
    const left = switchPoint(file!.content.toString('utf8'), claimed);
    const { lsn } = parsePosition(tail);
    if (left === undefined) {
      throw new ConfigurationError(`The source of pipeline ${pipeline} is on timeline ${timeline}, which does not come from timeline ${claimed} that it was read on. Was it restored? ${loadAnew(pipeline)}`);
    }
    if (lsn >= left) {
      throw new ConfigurationError(`The source of pipeline ${pipeline} was promoted: its timeline ${timeline} left timeline ${claimed} at ${lsnText(left)}, and changes up to ${lsnText(lsn)} had been taken from the old one. Those beyond never happened here. ${loadAnew(pipeline)}`);
    }
    return timeline;
  } finally {
    await client.end().catch(() => {});
  }
}

/** States the part of the stream that is missing; see describeGap. `end`: where it can be had again; undefined: not by this slot. */
export type StateGap = (end: Lsn | undefined) => Promise<string>;

/**
 * Ends the connection that still holds the slot: perhaps no one reads it any more (E6). Returns what was confirmed to the
 * slot, after `check` has seen it.
 */
export async function takeOverSlot(source: Client, pipeline: string, stateGap: StateGap, check: (confirmed: Lsn) => Promise<void>): Promise<Lsn> {
  const { slot } = sourceNames(pipeline);
  const { rows } = await source.query<{ active_pid: number | null; wal_status: string | null; confirmed: string | null }>(
    'select active_pid, wal_status, confirmed_flush_lsn::text as confirmed from pg_replication_slots where slot_name = $1',
    [slot],
  );
  const found = rows[0];
  if (!found) throw await slotLost(pipeline, slot, 'is gone', stateGap);
  if (found.wal_status === 'lost') throw await slotLost(pipeline, slot, 'was invalidated, because it held back more WAL than max_slot_wal_keep_size', stateGap);
  const confirmed = found.confirmed === null ? 0n : parseLsn(found.confirmed);
  await check(confirmed);
  if (found.active_pid !== null) await source.query('select pg_terminate_backend($1, 5000)', [found.active_pid]);
  return confirmed;
}

/**
 * E6: a slot begins where it was confirmed, whatever it is asked for, and does not say so. `next`: where the chain ends;
 * `nextLsn`: up to where the WAL has nothing that is not in it. A slot that stands there or below has all that follows,
 * whoever moved it (a restored state database knows less of it).
 */
export async function assertNoGap(pipeline: string, recorded: Confirmed | undefined, slotConfirmed: Lsn, next: Position, nextLsn: Lsn, stateGap: StateGap): Promise<void> {
  if (!recorded) return;
  if (slotConfirmed > recorded.lsn && slotConfirmed > nextLsn) {
    throw new ConfigurationError(`The replication slot of pipeline ${pipeline} stands at ${lsnText(slotConfirmed)}, and only ${lsnText(recorded.lsn)} was confirmed to it: somebody advanced it or made it again, and what is between is not in the stream. ${await stateGap(slotConfirmed)} ${loadAnew(pipeline)}`);
  }
  if (next < recorded.to) {
    const end = parsePosition(recorded.to).lsn;
    throw new ConfigurationError(`The stream of pipeline ${pipeline} would go on at ${next}, and the source was already told to forget everything up to ${recorded.to}: the spool was lost, or a sink was set back, and what is between is gone. ${await stateGap(end)} ${loadAnew(pipeline)}`);
  }
}

async function slotLost(pipeline: string, slot: string, what: string, stateGap: StateGap): Promise<ConfigurationError> {
  return new ConfigurationError(`The replication slot ${slot} of pipeline ${pipeline} ${what}: changes behind what was read are not in the stream any more. ${await stateGap(undefined)} ${loadAnew(pipeline)}`);
}
