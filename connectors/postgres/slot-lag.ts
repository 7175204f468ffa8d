import { Client } from 'pg';
import { classified } from './errors.ts';
import { sourceNames } from './source-catalog.ts';

/** Bytes of WAL between what was confirmed to the pipeline's slot and the source's present; 0 if it has no slot. */
export function readSlotLag(sourceUrl: string, pipeline: string): Promise<number> {
  return classified('source database', async () => {
    const source = new Client({ connectionString: sourceUrl, application_name: 'sluice slot lag', connectionTimeoutMillis: 10_000, query_timeout: 10_000 });
    source.on('error', () => {}); // the query says it
    try {
      await source.connect();
      const { rows } = await source.query<{ bytes: string | null }>('select pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::text as bytes from pg_replication_slots where slot_name = $1', [sourceNames(pipeline).slot]);
      return Number(rows[0]?.bytes ?? 0);
    } finally {
      await source.end().catch(() => {});
    }
  });
}
