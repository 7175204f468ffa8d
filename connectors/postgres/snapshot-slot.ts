import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import type { Lsn } from '../../core/position.ts';
import { parseLsn } from '../../core/position.ts';
import { keptAlive } from './keep-alive.ts';
import { leave } from './leave.ts';
import { quote } from './source-catalog.ts';

/**
 * A logical slot and the snapshot of its consistent point S: an event is in the snapshot exactly if its transaction's
 * commit LSN is below S (E17). The snapshot lives as long as this connection does nothing else; a temporary slot too.
 */
export type SnapshotSlot = {
  readonly consistentPoint: Lsn;
  readonly snapshot: string;
  /** Rejects when the connection, and with it the snapshot, is lost. */
  readonly lost: Promise<never>;
  close(): Promise<void>;
};

export async function createSnapshotSlot(options: { url: string; slot: string; temporary: boolean; applicationName: string; signal?: AbortSignal; timeoutMs?: number }): Promise<SnapshotSlot> {
  const client = new Client({
    connectionString: options.url,
    application_name: options.applicationName,
    replication: 'database',
    connectionTimeoutMillis: 10_000,
    ...keptAlive,
    // the snapshot is a transaction that does nothing
    options: '-c idle_in_transaction_session_timeout=0',
  } as unknown as ClientConfig);
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => {});
  client.on('error', (error) => lost.reject(error));
  client.on('end', () => lost.reject(new Error('the source closed the connection that holds the snapshot')));
  await client.connect();
  const stopped = stopOf(options);
  try {
    const creation = client.query<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${quote(options.slot)} ${options.temporary ? 'TEMPORARY ' : ''}LOGICAL pgoutput (SNAPSHOT 'export')`,
    );
    creation.catch(() => {});
    const { rows } = await Promise.race([creation, stopped.promise]);
    return {
      consistentPoint: parseLsn(rows[0]!.consistent_point),
      snapshot: rows[0]!.snapshot_name,
      lost: lost.promise,
      close: () => leave(client),
    };
  } catch (error) {
    void leave(client);
    throw error;
  } finally {
    stopped.clear();
  }
}

/** Rejects when the signal aborts or the time is over. */
function stopOf({ signal, timeoutMs }: { signal?: AbortSignal; timeoutMs?: number }): { promise: Promise<never>; clear: () => void } {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  const abort = () => reject(signal!.reason);
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  const late = () => reject(new Error(`the slot was not there after ${timeoutMs! / 1000} s: a transaction that has written something is still open in the source. See: select pid, xact_start, query from pg_stat_activity where backend_xid is not null;`));
  const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
  return {
    promise,
    clear: () => {
      signal?.removeEventListener('abort', abort);
      clearTimeout(timer);
    },
  };
}
