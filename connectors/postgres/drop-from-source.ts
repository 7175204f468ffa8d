import type { Client } from 'pg';
import { ConfigurationError } from '../sink.ts';
import { quote, sourceNames } from './source-catalog.ts';

/** What a pipeline has in its source. Of slots, those of this database: of others another instance may have one of the same name. */
export type InSource = {
  readonly slot: { readonly keptBytes: number } | undefined;
  /** Of backfills. */
  readonly temporarySlots: readonly string[];
  readonly hasPublication: boolean;
};

export async function lookIntoSource(source: Client, pipeline: string): Promise<InSource> {
  const { slot, publication } = sourceNames(pipeline);
  const { rows: slots } = await source.query<{ kept: string | null }>(`select pg_current_wal_lsn() - restart_lsn as kept ${slotHere}`, [slot]);
  const { rows: temporary } = await source.query<{ name: string }>(`select s.slot_name as name ${temporarySlots}`, [pipeline]);
  const { rows: publications } = await source.query('select from pg_publication where pubname = $1', [publication]);
  return { slot: slots[0] && { keptBytes: Number(slots[0].kept ?? 0) }, temporarySlots: temporary.map(({ name }) => name), hasPublication: publications.length > 0 };
}

const slotHere = 'from pg_replication_slots where slot_name = $1 and database = current_database()';

/** They have random names, and end with their connections, which have those of the pipeline; cut after 63 bytes. */
const temporarySlots = `from pg_replication_slots s join pg_stat_activity a on a.pid = s.active_pid
  where s.temporary and s.database = current_database() and a.application_name = left('sluice ' || $1::text || ' backfill snapshot', 63)`;

/** Returns those that were there. `loaded`: the server that the pipeline was loaded from, if it is known. */
export async function dropSlots(source: Client, pipeline: string, loaded: string | undefined): Promise<readonly string[]> {
  const { slot } = sourceNames(pipeline);
  const { rows: [server] } = await source.query<{ identifier: string }>('select system_identifier::text as identifier from pg_control_system()');
  if (loaded !== undefined && server!.identifier !== loaded) {
    throw new ConfigurationError(`SLUICE_SOURCE_URL leads to another server than the one that ${pipeline} was loaded from (system identifier ${server!.identifier}, not ${loaded}): a slot of that name would be somebody else's.`);
  }
  const { rows: temporary } = await source.query<{ name: string }>(`select s.slot_name as name, pg_terminate_backend(a.pid, 5000) ${temporarySlots}`, [pipeline]);
  const { rows: slots } = await source.query(`select ${slotHere}`, [slot]);
  if (slots.length > 0) await dropSlot(source, slot);
  return [...slots.map(() => slot), ...temporary.map(({ name }) => name)];
}

/** Whoever reads it is ended. */
export async function dropSlot(source: Client, slot: string): Promise<void> {
  await source.query('select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = $1 and active_pid is not null', [slot]);
  await source.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [slot]);
}

/** False: there was none. */
export async function dropPublication(source: Client, pipeline: string): Promise<boolean> {
  const { publication } = sourceNames(pipeline);
  const { rows } = await source.query('select from pg_publication where pubname = $1', [publication]);
  if (rows.length > 0) await source.query(`drop publication if exists ${quote(publication)}`);
  return rows.length > 0;
}
