import { TLSSocket } from 'node:tls';
import { Client, DatabaseError, type Connection } from 'pg';
import { leastPostgres, type PipelineFacts, type Problem, type ServerFacts, type SourceFacts, type StateFacts, type TableFacts } from '../../core/doctor.ts';
import type { EventTable, Pipeline, Table } from '../../core/pipeline.ts';
import { ConfigurationError } from '../sink.ts';
import { hasTimeIndex } from './backfill-estimate.ts';
import { classifyPostgresError } from './errors.ts';
import { leave } from './leave.ts';
import { readTimeline } from './postgres-source.ts';
import { assertSameSource } from './same-stream.ts';
import { readOpenChange } from './schema-changes.ts';
import { readShard, type ShardState } from './shard-state.ts';
import { readSlotLooks } from './slot-look.ts';
import { assertLogical, assertPublication, checkTable, sourceNames } from './source-catalog.ts';
import { assertNotSynchronous } from './synchronous-standby.ts';

/*
 * What `doctor` asks of source and state database: it changes nothing. What the product itself demands is asked by its own
 * checks, so that doctor and capture never differ.
 */

export type SourceLook = { readonly source: SourceFacts; readonly pipelines: readonly PipelineFacts[] };
export type StateLook = { readonly state: Omit<StateFacts, 'isSourceServer'>; readonly systemIdentifier: string; readonly shards: ReadonlyMap<string, ShardState>; readonly openChanges: ReadonlyMap<string, number> };
type Loaded = Pick<StateLook, 'shards' | 'openChanges'>;

/** `loaded`: what the state database has on record of them; undefined if it could not be asked. */
export function readSourceFacts(url: string, pipelines: readonly Pipeline[], loaded: Loaded | undefined): Promise<SourceLook & { readonly systemIdentifier: string }> {
  return connected('source', url, async (client) => {
    const server = await readServer(client, url);
    const settings = await readSettings(client);
    const look: PipelineFacts[] = [];
    // an older server has not even what is asked about them
    if (server.facts.versionNumber >= leastPostgres) for (const pipeline of pipelines) look.push(await readPipelineFacts(client, pipeline, { loaded, ...server, ...settings }));
    return {
      systemIdentifier: server.systemIdentifier,
      pipelines: look,
      source: {
        ...server.facts,
        role: settings.role,
        walLevel: problemOf(() => assertLogical(settings.wal_level)),
        slots: { max: settings.max_slots, used: settings.slots },
        walSenders: { max: settings.max_senders, used: settings.senders },
        keepBytes: settings.keep_mib < 0 ? undefined : settings.keep_mib * 2 ** 20,
        slotIdleSeconds: settings.idle_s,
        seesOthers: settings.sees_others,
        refused: await refusalOf(url),
      },
    };
  });
}

export function readStateFacts(url: string, pipelines: readonly string[]): Promise<StateLook> {
  return connected('state database', url, async (client) => {
    const { facts, systemIdentifier } = await readServer(client, url);
    const { rows: [tables] } = await client.query<{ prepared: boolean }>("select to_regclass('sluice.shard') is not null as prepared");
    const shards = new Map<string, ShardState>();
    const openChanges = new Map<string, number>();
    if (tables!.prepared) {
      for (const name of pipelines) {
        const shard = await readShard(client, name);
        if (!shard) continue;
        shards.set(name, shard);
        const openChange = await readOpenChange(client, name, shard.epoch);
        if (openChange !== undefined) openChanges.set(name, openChange);
      }
    }
    return { state: { ...facts, isPrepared: tables!.prepared }, systemIdentifier, shards, openChanges };
  });
}

async function connected<T>(what: string, connectionString: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString, application_name: 'sluice doctor', connectionTimeoutMillis: 5_000, query_timeout: 10_000, options: '-c default_transaction_read_only=on' });
  client.on('error', () => {}); // the query says it
  try {
    await client.connect();
    return await use(client);
  } catch (error) {
    throw classifyPostgresError(what, error);
  } finally {
    await leave(client);
  }
}

async function readServer(client: Client, url: string): Promise<{ facts: ServerFacts; systemIdentifier: string }> {
  const { rows: [server] } = await client.query<{ version: string; number: number; replica: boolean; system: string }>(
    `select split_part(current_setting('server_version'), ' ', 1) as version, current_setting('server_version_num')::int as number,
            pg_is_in_recovery() as replica, (select system_identifier::text from pg_control_system()) as system`,
  );
  const { connection } = client as Client & { connection: Connection };
  return {
    facts: { version: server!.version, versionNumber: server!.number, isReplica: server!.replica, host: client.host.startsWith('/') ? '' : new URL(url).host, isEncrypted: connection.stream instanceof TLSSocket },
    systemIdentifier: server!.system,
  };
}

type Settings = Readonly<{ role: string; database: string; wal_level: string; synchronous: string; max_slots: number; slots: number; max_senders: number; senders: number; keep_mib: number; idle_s: number; sees_others: boolean }>;

/** Walsenders are counted by what also a role sees that may not see others. */
async function readSettings(client: Client): Promise<Settings> {
  const { rows: [settings] } = await client.query<Settings>(
    `select current_user as role, current_database() as database, current_setting('wal_level') as wal_level, current_setting('synchronous_standby_names') as synchronous,
            current_setting('max_replication_slots')::int as max_slots, (select count(*)::int from pg_replication_slots) as slots,
            current_setting('max_wal_senders')::int as max_senders, (select count(*)::int from pg_stat_replication) as senders,
            coalesce((select setting::int from pg_settings where name = 'max_slot_wal_keep_size'), -1) as keep_mib,
            coalesce((select setting::int * case unit when 'min' then 60 else 1 end from pg_settings where name = 'idle_replication_slot_timeout'), 0) as idle_s,
            pg_has_role(current_user, 'pg_read_all_stats', 'usage') as sees_others`,
  );
  return settings!;
}

/** By asking for it: a role that may replicate need not have the attribute (managed services), and one that has it may be kept out by pg_hba.conf. */
async function refusalOf(url: string): Promise<SourceFacts['refused']> {
  try {
    await readTimeline(url, undefined, 'sluice doctor');
    return undefined;
  } catch (error) {
    return { code: error instanceof DatabaseError ? (error.code ?? '') : '', message: (error as Error).message };
  }
}

type Server = { readonly facts: ServerFacts; readonly systemIdentifier: string; readonly role: string; readonly database: string; readonly synchronous: string; readonly loaded: Loaded | undefined };

async function readPipelineFacts(client: Client, pipeline: Pipeline, { facts, systemIdentifier, role, database, synchronous, loaded }: Server): Promise<PipelineFacts> {
  const { name, source: { events, dimensions } } = pipeline;
  const names = sourceNames(name);
  const tables: TableFacts[] = [];
  for (const table of [events, ...Object.values(dimensions)]) tables.push(await readTableFacts(client, table, name));
  const { rows: [rights] } = await client.query<{ creates: boolean; ours: boolean | null }>(
    "select has_database_privilege(current_database(), 'create') as creates, (select pg_has_role(pubowner, 'usage') from pg_publication where pubname = $1) as ours",
    [names.publication],
  );
  const shard = loaded?.shards.get(name);
  const isLoaded = shard?.state === 'streaming';
  const slot = facts.isReplica ? undefined : (await readSlotLooks(client, [name], 0)).get(name);
  const problems = [problemOf(() => assertNotSynchronous(name, synchronous))];
  if (isLoaded) problems.push(problemOf(() => assertSameSource(name, shard, { systemIdentifier })), await assertPublication(client, pipeline, shard.tables).then(() => undefined, asProblem));
  return {
    name,
    role,
    database,
    names,
    tables,
    problems: problems.filter((problem) => problem !== undefined),
    isLoaded: loaded && isLoaded,
    openChange: loaded?.openChanges.get(name),
    slot: slot && { isLost: slot.status === 'lost', isRead: slot.reading, keptBytes: slot.walEnd - slot.restart },
    mayCreatePublication: rights!.creates,
    publicationOwner: rights!.ours === null ? undefined : { isUs: rights!.ours },
  };
}

/** By the catalogue first: a schema that a role may not use does not even say whether it has a table. */
async function readTableFacts(client: Client, table: Table, pipeline: string): Promise<TableFacts> {
  const { rows: [rights] } = await client.query<{ partitioned: boolean; schema: boolean; selects: boolean; owner: string; owned: boolean }>(
    `select c.relkind = 'p' as partitioned, has_schema_privilege(c.relnamespace, 'usage') as schema, has_table_privilege(c.oid, 'select') as selects,
            pg_get_userbyid(c.relowner) as owner, pg_has_role(c.relowner, 'usage') as owned
       from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname || '.' || c.relname = $1`,
    [table.relation],
  );
  const isHidden = rights !== undefined && !rights.schema;
  const { found, problems } = isHidden ? { found: undefined, problems: [] } : await checkTable(client, table, pipeline);
  const unindexedTime = found && 'eventTime' in table && !(await hasTimeIndex(client, table as EventTable)) ? (table as EventTable).eventTime : undefined;
  return {
    relation: table.relation,
    problems,
    isThere: isHidden || found !== undefined,
    isPartitioned: rights?.partitioned ?? false,
    mayUseSchema: rights?.schema ?? false,
    maySelect: rights?.selects ?? false,
    owner: rights?.owner ?? '',
    isOwned: rights?.owned ?? false,
    unindexedTime,
    otherColumns: Object.entries(table.columns).flatMap(([name, { type }]) => (type === 'other' ? [name] : [])),
  };
}

function problemOf(check: () => void): Problem | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return asProblem(error);
  }
}

function asProblem(error: unknown): Problem {
  if (error instanceof ConfigurationError) return error;
  throw error;
}
