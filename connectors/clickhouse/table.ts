import { randomUUID } from 'node:crypto';
import type { ClickHouseClient } from '@clickhouse/client';
import type { ColumnSchema } from '../../core/pipeline.ts';
import { unreachable } from '../../core/unreachable.ts';
import { ConfigurationError } from '../sink.ts';

/** A sink's table, and how a row is found in it. Names are lower case and need no escaping (checked by definePipeline). */
export type SinkTable = {
  readonly name: string;
  readonly columns: Readonly<Record<string, ColumnSchema>>;
  readonly orderBy: readonly string[];
  readonly partitionBy: string;
};

/**
 * Makes the table unless it is there, and checks that it can hold the rows. Rows are versioned by position: the greatest
 * wins, tombstones included, and tombstones are kept (no CLEANUP), so that a row of a worker that died long ago, arriving
 * now, changes nothing (E10). toYYYYMMDD, as toDate wraps after 2149.
 */
export async function createTable(client: ClickHouseClient, table: SinkTable): Promise<void> {
  const columns = Object.entries(table.columns).map(([name, schema]) => `${quoted(name)} ${columnType(schema)}`);
  await client.command({
    query: `CREATE TABLE IF NOT EXISTS ${tableName(table)} (${[...columns, '_position UInt128', '_deleted UInt8'].join(', ')})
      ENGINE = ReplacingMergeTree(_position, _deleted)
      PARTITION BY toYYYYMMDD(${quoted(table.partitionBy)})
      ORDER BY (${table.orderBy.map(quoted).join(', ')})
      ${durable}${await fewerMerges(client)}
      COMMENT 'Sluice ${randomUUID()}'`,
  });
  await checkTable(client, table);
}

/** What was answered is on disk: a fence that survived a power failure without its rows would lead them (E10). */
export const durable = 'SETTINGS fsync_after_insert = 1, fsync_part_directory = 1';

/**
 * Parts are merged when there are about ten times as many rows as in the greatest, not five (a server before 24.10 does not
 * know the setting): two fifths fewer rows are merged while a few million are inserted, and FINAL finds a few parts more.
 */
async function fewerMerges(client: ClickHouseClient): Promise<string> {
  const known = await client.query({ query: `SELECT 1 FROM system.merge_tree_settings WHERE name = '${mergeBase}'`, format: 'JSONEachRow' });
  return (await known.json()).length > 0 ? `, ${mergeBase} = 10` : '';
}

const mergeBase = 'merge_selector_base';

/**
 * The identity of the table itself: another one after DROP and CREATE, so that a fence is never taken for another's. Not
 * every database engine gives its tables UUIDs, so the comment has one too.
 */
export async function tableIdentity(client: ClickHouseClient, table: SinkTable): Promise<string> {
  const [row] = await describe(client, table);
  if (!row) throw new ConfigurationError(`ClickHouse has no table ${table.name}: it was dropped while the pipeline ran. ./sluice recover, with the pipeline's name, makes it again and writes its rows.`);
  return row.identity;
}

async function checkTable(client: ClickHouseClient, table: SinkTable): Promise<void> {
  const [row] = await describe(client, table);
  if (!row || !isOurs(row)) {
    throw new ConfigurationError(`ClickHouse table ${table.name} is there already, as ${row?.engine_full.split(' ')[0]}, not as ReplacingMergeTree(_position, _deleted): it is not Sluice's. Choose another table name in the pipeline's definition, or rename that table.`);
  }
  const wanted = table.orderBy.join(', ');
  // names that must be quoted come quoted
  if (row.sorting_key.replaceAll(/[`\\]/g, '') !== wanted.replaceAll(/[`\\]/g, '')) {
    throw new ConfigurationError(`ClickHouse table ${table.name} is sorted by (${row.sorting_key}), the pipeline's definition says (${wanted}): a sort key cannot be changed. Choose another table name, or DROP TABLE ${table.name} to have it loaded again.`);
  }
  const present = await columnsThere(client, table);
  const missing = Object.keys(table.columns).filter((name) => !present.has(name));
  if (missing.length > 0) {
    const additions = missing.map((name) => `ADD COLUMN ${name} ${columnType(table.columns[name]!)}`).join(', ');
    throw new ConfigurationError(`ClickHouse table ${table.name} lacks ${missing.join(', ')}. Type: ALTER TABLE ${table.name} ${additions}`);
  }
}

/** Made as Sluice makes its tables. */
export function isOurs({ engine_full }: Pick<Description, 'engine_full'>): boolean {
  return engine_full.includes('ReplacingMergeTree') && /_position, _deleted\)/.test(engine_full);
}

/** Its columns' types, by name. */
export async function columnsThere(client: ClickHouseClient, table: SinkTable): Promise<ReadonlyMap<string, string>> {
  const columns = await selectOf<{ name: string; type: string }>(client, table, 'SELECT name, type FROM system.columns WHERE table = {table:String}');
  return new Map(columns.map(({ name, type }) => [name, type]));
}

/** Of a row of system.tables. */
export const identity = "concat(toString(uuid), ' ', comment)";

type Description = { identity: string; engine_full: string; sorting_key: string };

/** A row if the table that has the name has that identity, else none. */
export function isTable({ name }: Pick<SinkTable, 'name'>, target: string): Clause {
  const { condition, parameters } = named(name);
  return { text: `FROM system.tables WHERE name = {table:String} AND ${condition} AND ${identity} = {target:String}`, parameters: { ...parameters, target } };
}

export type Clause = { readonly text: string; readonly parameters: Readonly<Record<string, string>> };

function describe(client: ClickHouseClient, table: SinkTable): Promise<Description[]> {
  return selectOf(client, table, `SELECT ${identity} AS identity, engine_full, sorting_key FROM system.tables WHERE name = {table:String}`);
}

/** `query` ends in a condition that names the table. */
export async function selectOf<T>(client: ClickHouseClient, { name }: Pick<SinkTable, 'name'>, query: string): Promise<T[]> {
  const { condition, parameters } = named(name);
  const result = await client.query({ query: `${query} AND ${condition}`, query_params: parameters, format: 'JSONEachRow' });
  return result.json<T>();
}

function named(name: string): { readonly condition: string; readonly parameters: Clause['parameters'] } {
  const [table, database] = name.split('.').toReversed();
  return database === undefined ? { condition: 'database = currentDatabase()', parameters: { table: table! } } : { condition: 'database = {database:String}', parameters: { table: table!, database } };
}

export function columnType({ type, nullable, interned }: ColumnSchema): string {
  const plain = plainType(type);
  const inner = nullable ? `Nullable(${plain})` : plain;
  return interned && plain === 'String' ? `LowCardinality(${inner})` : inner;
}

/** numeric is text: all its digits, NaN and the infinities included. json stays the text that Postgres sent. */
function plainType(type: ColumnSchema['type']): string {
  switch (type) {
    case 'bool':
      return 'Bool';
    case 'int2':
      return 'Int16';
    case 'int4':
      return 'Int32';
    case 'int8':
      return 'Int64';
    case 'oid':
      return 'UInt32';
    case 'float4':
      return 'Float32';
    case 'float8':
      return 'Float64';
    case 'date':
      return 'Date32';
    case 'timestamp':
    case 'timestamptz':
      return "DateTime64(6, 'UTC')";
    case 'uuid':
      return 'UUID';
    case 'numeric':
    case 'text':
    case 'json':
    case 'jsonb':
    case 'bytea':
    case 'other':
      return 'String';
    default:
      return unreachable(type);
  }
}

export function tableName({ name }: Pick<SinkTable, 'name'>): string {
  return name.split('.').map(quoted).join('.');
}

export function quoted(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}
