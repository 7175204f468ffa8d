import { types, type Client } from 'pg';
import type { ColumnType } from '../../core/columns/vector.ts';
import { loadAnew } from '../../core/load-anew.ts';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import { fits } from '../../core/migration/shape.ts';
import type { SourceColumn } from '../../core/migration/source-changes.ts';
import { nameInSource, type Pipeline, type Table } from '../../core/pipeline.ts';
import type { Lsn } from '../../core/position.ts';
import { parseLsn } from '../../core/position.ts';
import { ConfigurationError } from '../sink.ts';
import { TransientError } from '../transient-error.ts';
import { replicaIdentityMissing } from './pgoutput/relation.ts';
import { assertRowKey } from './row-key.ts';
import type { TableIds } from './shard-state.ts';
import { assertNotSynchronous } from './synchronous-standby.ts';

export type SourceCatalog = {
  readonly systemIdentifier: string;
  /** Flushed WAL ends here. */
  readonly walEnd: Lsn;
  readonly tables: TableIds;
  /** As they are now: the stream may not be there yet. Types are those that domains are made of (COLUMNS.md). */
  readonly columns: SourceColumns;
  /** max_slot_wal_keep_size; undefined: unlimited. */
  readonly keepBytes: number | undefined;
  /** Every column of the pipeline has a binary format that Sluice is sure of. */
  readonly binary: boolean;
};

/** The names that a pipeline has in its source: one slot and one publication each, never shared. */
export function sourceNames(pipeline: string): { slot: string; publication: string } {
  const name = `sluice_${pipeline.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`;
  return { slot: name, publication: name };
}

/**
 * Looks at the source through an ordinary connection and compares its tables with the pipeline; their columns only if asked
 * to, as a stream may be at a place where they were others. Changes nothing. Throws a ConfigurationError with what to type.
 */
export async function readSourceCatalog(client: Client, pipeline: Pipeline, { columns: exact = false }: { readonly columns?: boolean } = {}): Promise<SourceCatalog> {
  const { rows: [server] } = await client.query<{ wal_level: string; system_identifier: string; wal_end: string; keep_mib: number; synchronous: string }>(
    `select current_setting('wal_level') as wal_level, (select setting::int from pg_settings where name = 'max_slot_wal_keep_size') as keep_mib,
            current_setting('synchronous_standby_names') as synchronous, pg_current_wal_flush_lsn()::text as wal_end, (select system_identifier::text from pg_control_system()) as system_identifier`,
  );
  assertLogical(server!.wal_level);
  assertNotSynchronous(pipeline.name, server!.synchronous);
  const { events, dimensions } = pipeline.source;
  const tables: Record<string, number> = {};
  const columns = await eachTable(pipeline, async (table) => {
    const { found, problems: [problem] } = await checkTable(client, table, pipeline.name, exact);
    if (problem) throw problem;
    tables[table.relation] = found!.oid;
    return found;
  });
  const declared = [events, ...Object.values(dimensions)].flatMap((table) => Object.values(table.columns));
  return {
    systemIdentifier: server!.system_identifier,
    walEnd: parseLsn(server!.wal_end),
    tables,
    columns,
    keepBytes: server!.keep_mib < 0 ? undefined : server!.keep_mib * 2 ** 20,
    binary: declared.every(({ type }) => type !== 'other'),
  };
}

export function assertLogical(walLevel: string): void {
  if (walLevel === 'logical') return;
  throw new ConfigurationError(`The source has wal_level=${walLevel}, and a change stream needs logical.`, { mend: { type: "ALTER SYSTEM SET wal_level = 'logical'; then restart that server." } });
}

/** `found`: undefined if there is no such table. `problems`: all of them, the gravest first; with those of columns that are missing or of another type if `columns`. */
export async function checkTable(client: Client, table: Table, pipeline: string, columns = true): Promise<{ readonly found: FoundTable | undefined; readonly problems: readonly ConfigurationError[] }> {
  const found = await readTable(client, table);
  if (!found) return { found, problems: [tableMissing(table, pipeline)] };
  const problems = [...virtualProblems(table, found.columns), ...(columns ? columnProblems(table, found.columns, await sendsGenerated(client)) : [])];
  // of a key that has another name by now, the stream says what becomes
  if (columns || found.columns.has(nameInSource(table, table.key)!)) await assertRowKey(client, found.oid, table).catch((error: unknown) => problems.push(asProblem(error)));
  if (!('appendOnly' in table && table.appendOnly)) problems.push(...(await withoutIdentity(client, table)).map(replicaIdentityMissing));
  return { found, problems };
}

function tableMissing({ relation }: Table, pipeline: string): ConfigurationError {
  return new ConfigurationError(
    `Table ${relation} does not exist in the source, or this user may not see it. Create it, or correct the definition pipelines/${pipeline}.ts, then type: ./sluice resume ${pipeline}`,
  );
}

function asProblem(error: unknown): ConfigurationError {
  if (error instanceof ConfigurationError) return error;
  throw error;
}

/**
 * The publication must have every table of the pipeline whole: what it leaves out is not in the stream, and canaries
 * would let the slot pass it by. Throws a ConfigurationError.
 */
export async function assertPublication(client: Client, pipeline: Pipeline, loaded: TableIds | undefined): Promise<void> {
  const { publication } = sourceNames(pipeline.name);
  const { rows } = await client.query<{ relation: string; oid: string; whole: boolean }>(
    `select n.nspname || '.' || c.relname as relation, c.oid::text as oid,
            r.prqual is null and r.prattrs is null and p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate and p.pubviaroot as whole
       from pg_publication p join pg_publication_rel r on r.prpubid = p.oid join pg_class c on c.oid = r.prrelid join pg_namespace n on n.oid = c.relnamespace
      where p.pubname = $1`,
    [publication],
  );
  const { events, dimensions } = pipeline.source;
  for (const { relation } of [events, ...Object.values(dimensions)]) {
    const found = rows.find((row) => row.relation === relation);
    const what = !found ? `does not have table ${relation}` : !found.whole ? `leaves out a part of table ${relation}` : undefined;
    if (what) throw new ConfigurationError(`The publication ${publication} ${what}: changes of it may be missing in the stream.`, { mend: { lead: '', type: loadAnew(pipeline.name) } });
    if (loaded && loaded[relation] !== Number(found!.oid)) throw new ConfigurationError(`Table ${relation} is not the one that was loaded (it was dropped or renamed, and made again): its changes were not in the stream.`, { mend: { lead: '', type: loadAnew(pipeline.name) } });
  }
}

/** Makes the publication if it is missing, and gives it the pipeline's tables if it has others. */
export async function ensurePublication(client: Client, pipeline: Pipeline): Promise<void> {
  const { publication } = sourceNames(pipeline.name);
  const { events, dimensions } = pipeline.source;
  const wanted = [events, ...Object.values(dimensions)].map(({ relation }) => relation).sort();
  const { rows } = await client.query<{ relation: string }>(
    `select n.nspname || '.' || c.relname as relation
       from pg_publication p left join pg_publication_rel r on r.prpubid = p.oid
            left join pg_class c on c.oid = r.prrelid left join pg_namespace n on n.oid = c.relnamespace
      where p.pubname = $1`,
    [publication],
  );
  const list = wanted.map(quoteRelation).join(', ');
  // From 18 on the source refuses updates of a table whose replica identity has a column that is not published
  const options = ['publish_via_partition_root = true', ...(await sendsGenerated(client) ? ['publish_generated_columns = stored'] : [])].join(', ');
  if (rows.length === 0) await client.query(`create publication ${quote(publication)} for table ${list} with (${options})`);
  else {
    await client.query(`alter publication ${quote(publication)} set (${options})`);
    if (rows.map(({ relation }) => relation).sort().join() !== wanted.join()) await client.query(`alter publication ${quote(publication)} set table ${list}`);
  }
}

/** Stored generated columns, from PostgreSQL 18 on. */
export async function sendsGenerated(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ version: number }>("select current_setting('server_version_num')::int as version");
  return rows[0]!.version >= 180_000;
}

export function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** `public.events` as it is written in SQL. */
export function quoteRelation(relation: string): string {
  const dot = relation.indexOf('.');
  return `${quote(relation.slice(0, dot))}.${quote(relation.slice(dot + 1))}`;
}

type FoundColumn = { readonly number: number; readonly oid: number; readonly type: ColumnType; /** As Postgres calls the type. */ readonly name: string; readonly generated: string };

export type FoundTable = { readonly oid: number; readonly columns: ReadonlyMap<string, FoundColumn> };

/** One of its partitions, or itself, that is not REPLICA IDENTITY FULL. pg_partition_tree would wait for whoever alters one of them. */
async function withoutIdentity(client: Client, { relation }: Table): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `with recursive tree as (
       select oid, relreplident from pg_class where oid = $1::regclass
       union all
       select p.oid, p.relreplident from tree join pg_inherits on inhparent = tree.oid join pg_class p on p.oid = inhrelid and p.relispartition
     )
     select oid::regclass::text as name from tree where relreplident <> 'f' limit 1`,
    [quoteRelation(relation)],
  );
  return rows.map(({ name }) => name);
}

async function readTable(client: Client, table: Table): Promise<FoundTable | undefined> {
  const { rows } = await client.query<{ table_oid: string; column: string; number: number; oid: string; base: string; kind: string; name: string; generated: string }>(
    `with recursive base as (
       select a.attname, a.attnum, a.atttypid, a.atttypid as typid, c.oid as table_oid, a.attgenerated::text as generated
         from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.oid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
       union all
       select b.attname, b.attnum, b.atttypid, t.typbasetype, b.table_oid, b.generated
         from base b join pg_type t on t.oid = b.typid and t.typtype = 'd'
     )
     select b.table_oid::text,
            b.attname as column, b.attnum as number, b.atttypid::text as oid, t.typname as base, t.typtype::text as kind,
            format_type(b.atttypid, null) as name, b.generated
       from base b join pg_type t on t.oid = b.typid where t.typtype <> 'd' order by b.attnum`,
    [quoteRelation(table.relation)],
  );
  if (rows.length === 0) return undefined;
  return {
    oid: Number(rows[0]!.table_oid),
    columns: new Map(rows.map(({ column, number, oid, base, kind, name, generated }) => [column, { number, oid: Number(oid), type: columnTypeOf(kind, base), name, generated }])),
  };
}

function virtualProblems(table: Table, found: ReadonlyMap<string, FoundColumn>): ConfigurationError[] {
  const virtual = [...found].find(([, column]) => column.generated === 'v');
  if (!virtual || ('appendOnly' in table && table.appendOnly)) return [];
  return [new ConfigurationError(`Column ${virtual[0]} of table ${table.relation} is generated and not stored: with REPLICA IDENTITY FULL, PostgreSQL would refuse every update of a published table that has one.`, { mend: { lead: 'Make it STORED, or drop it: ', type: `ALTER TABLE ${table.relation} DROP COLUMN ${virtual[0]};` } })];
}

/** `generated`: the source sends stored generated columns. */
function columnProblems(table: Table, found: ReadonlyMap<string, FoundColumn>, generated: boolean): ConfigurationError[] {
  const problems: ConfigurationError[] = [];
  const add = (...problem: ConstructorParameters<typeof ConfigurationError>) => problems.push(new ConfigurationError(...problem));
  for (const [declared, { type }] of Object.entries(table.columns)) {
    const name = nameInSource(table, declared);
    if (name === undefined) continue;
    const column = found.get(name);
    if (!column) add(`Table ${table.relation} has no column ${name}, and the definition uses it. It has: ${[...found.keys()].join(', ')}. Add the column, or correct the definition.`);
    else if (column.generated === 'v' || (column.generated === 's' && !generated)) {
      add(`Column ${name} of table ${table.relation} is generated, and the source does not send it (stored ones are sent from PostgreSQL 18 on). Leave it out of the definition; what it holds can be computed in enrich.`);
    } else if (column.type !== type) {
      const hint = column.type === 'other' ? ` (${column.name}), which is declared as other()` : '';
      add(`Column ${name} of table ${table.relation} is ${column.type} in the source${hint}, and the definition says ${type}. Correct the definition.`);
    }
  }
  return problems;
}

/** Of tables that are there. Waits for nobody who alters one of their partitions. */
export function readColumns(client: Client, pipeline: Pipeline): Promise<SourceColumns> {
  return eachTable(pipeline, (table) => readTable(client, table));
}

async function eachTable({ source: { events, dimensions } }: Pipeline, read: (table: Table) => Promise<FoundTable | undefined>): Promise<SourceColumns> {
  const columns: Record<string, readonly SourceColumn[]> = {};
  for (const [name, table] of Object.entries({ events, ...dimensions })) {
    const found = await read(table);
    if (found) columns[name] = sourceColumns(found);
  }
  return columns;
}

/**
 * In a snapshot: a migration of its columns may be due. Whatever the snapshot, names are looked up in the present: there, each
 * must be the column that it was. Throws a TransientError.
 */
export async function assertColumns(client: Client, table: Table, known: readonly SourceColumn[] = []): Promise<void> {
  const found = await readTable(client, table);
  if (!found || !fits(table, sourceColumns(found))) throw columnsChanged(table);
  const numbers = new Map(known.map(({ name, number }) => [name, number]));
  const names = Object.keys(table.columns).flatMap((column) => nameInSource(table, column) ?? []);
  const { fields } = await client.query(`select ${names.map(quote).join(', ')} from only ${quoteRelation(table.relation)} limit 0`);
  if (fields.some(({ name, columnID }) => (numbers.get(name) ?? columnID) !== columnID)) throw columnsChanged(table);
}

export function columnsChanged({ relation }: Table): TransientError {
  return new TransientError(`table ${relation} has other columns than the pipeline knows: it can be read again when their migration is done (./sluice migrations)`);
}

function sourceColumns({ columns }: FoundTable): SourceColumn[] {
  return Array.from(columns, ([name, { number, oid, type, name: typeName }]) => ({ name, type, typeName, oid, number }));
}

/** Of a type that is no domain: its typtype and typname. */
export function columnTypeOf(kind: string, name: string): ColumnType {
  return kind === 'e' ? 'text' : (byName[name] ?? 'other');
}

/** Of those whose OIDs are the same in every PostgreSQL: a column may have had one that no column has by now. */
export function builtInType(oid: number): ColumnType | undefined {
  const found = Object.entries<number>(types.builtins).find(([, each]) => each === oid);
  return found && columnTypeOf('b', found[0].toLowerCase());
}

const byName: Record<string, ColumnType> = {
  bool: 'bool',
  int2: 'int2',
  int4: 'int4',
  int8: 'int8',
  oid: 'oid',
  float4: 'float4',
  float8: 'float8',
  numeric: 'numeric',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  uuid: 'uuid',
  text: 'text',
  varchar: 'text',
  bpchar: 'text',
  name: 'text',
  xml: 'text',
  json: 'json',
  jsonb: 'jsonb',
  bytea: 'bytea',
};
