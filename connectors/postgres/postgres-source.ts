import type { ClientConfig } from 'pg';
import { Client } from 'pg';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Lsn } from '../../core/position.ts';
import { parseLsn } from '../../core/position.ts';
import { emitCanary, SlotFollower } from './canary.ts';
import { readExpectedRows } from './expected-rows.ts';
import { keptAlive } from './keep-alive.ts';
import { leave } from './leave.ts';
import type { ReplicationTarget } from './replication-stream.ts';
import { ReplicationStream, captureApplicationName } from './replication-stream.ts';
import type { TableIds } from './shard-state.ts';
import { readWalEnd, readWalInsertEnd } from './slot-look.ts';
import type { Slot, Source, Timeline } from './source.ts';
import { assertPublication, readColumns, readSourceCatalog, sourceNames } from './source-catalog.ts';

/** Connects to the source. `loaded`: the tables that the pipeline was loaded from. */
export async function connectSource(url: string, pipeline: Pipeline, loaded: TableIds | undefined): Promise<Source> {
  // who waits for a lock on the server's side would go on when nobody waits for it here any more
  const client = new Client({ connectionString: url, application_name: `sluice ${pipeline.name}`, connectionTimeoutMillis: 10_000, query_timeout: 30_000, ...keptAlive, options: '-c lock_timeout=10s' });
  // E7: when the server lets our ordinary connection go, the replication connection must not keep it from stopping
  const gone = Promise.withResolvers<never>();
  gone.promise.catch(() => {});
  client.on('error', (error) => gone.reject(error));
  client.on('end', () => gone.reject(new Error('the source closed the connection')));
  await client.connect();
  const { slot, publication } = sourceNames(pipeline.name);
  const follower = new SlotFollower(client, slot);

  return {
    gone: gone.promise,
    catalog: () => readSourceCatalog(client, pipeline),
    columns: async () => ({ columns: await readColumns(client, pipeline), seenAt: await readWalInsertEnd(client) }),
    expectedRows: () => readExpectedRows(client, pipeline),
    assertPublication: () => assertPublication(client, pipeline, loaded),
    timeline: (known) => readTimeline(url, known, `sluice ${pipeline.name} timeline`),
    slot: () => readSlot(client, slot),
    walEnd: () => readWalEnd(client),
    async disconnect(pid) {
      await client.query('select pg_terminate_backend($1, 5000)', [pid]);
    },
    emitCanary: () => emitCanary(client, pipeline.name),
    letSlotFollow: () => follower.look(),
    stream: (from: Lsn, binary: boolean, target: ReplicationTarget) => ReplicationStream.start({ url, applicationName: captureApplicationName(pipeline.name), slot, publication, from, binary, target }),
    async close() {
      client.removeAllListeners('end');
      await leave(client);
    },
  };
}

async function readSlot(client: Client, name: string): Promise<Slot | undefined> {
  const { rows } = await client.query<{ active_pid: number | null; wal_status: string | null; confirmed: string | null; unread_since: Date | null }>(
    "select active_pid, wal_status, confirmed_flush_lsn::text as confirmed, (to_jsonb(slot) ->> 'inactive_since')::timestamptz as unread_since from pg_replication_slots slot where slot_name = $1",
    [name],
  );
  const found = rows[0];
  return found && { confirmed: found.confirmed === null ? 0n : parseLsn(found.confirmed), status: found.wal_status ?? undefined, activePid: found.active_pid ?? undefined, ...(found.unread_since && { unreadSince: found.unread_since.toISOString() }) };
}

/** By the replication protocol: the catalogue tells the timeline of the last checkpoint, which a promotion may not have reached yet. */
export async function readTimeline(url: string, known: number | undefined, applicationName: string): Promise<Timeline> {
  const client = new Client({ connectionString: url, application_name: applicationName, replication: 'database', connectionTimeoutMillis: 10_000, query_timeout: 10_000 } as unknown as ClientConfig);
  client.on('error', () => {}); // the query says it
  try {
    await client.connect();
    const { rows: [system] } = await client.query<{ timeline: number | string }>('IDENTIFY_SYSTEM');
    const timeline = Number(system!.timeline); // eight bytes wide from PostgreSQL 16 on
    // the first one has no history
    if (known === undefined || timeline === known || timeline === 1) return { timeline, history: '' };
    const { rows: [file] } = await client.query<{ content: Buffer }>(`TIMELINE_HISTORY ${timeline}`);
    return { timeline, history: file!.content.toString('utf8') };
  } finally {
    await leave(client);
  }
}
