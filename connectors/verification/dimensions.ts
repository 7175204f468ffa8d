import type { Client } from 'pg';
import { nameInSource, type DimensionTable, type Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { Check } from '../../core/verification.ts';
import { quote } from '../postgres/source-catalog.ts';
import { comparedType, quoted } from './columns.ts';
import { compare } from './compare.ts';

/** The temporary table of a dimension's versions: key and position, and its columns, NULL where it was deleted. */
export function versionsTable(dimension: string): string {
  return `versions of ${dimension}`;
}

export const versionKey = '" key"';
export const versionPosition = '" position"';

/** The temporary table of a table of the source as it was at S; the events' is `source_events`. */
export function sourceTable(table: string): string {
  return `source_${table}`;
}

export async function readVersions(database: Client, pipeline: Pipeline, below: Position): Promise<void> {
  for (const [name, dimension] of Object.entries(pipeline.source.dimensions)) {
    const table = quote(versionsTable(name));
    await database.query(`create temporary table ${table} as ${versionsOf(pipeline, name, dimension)} and position < ${quoted(below)}`);
    await database.query(`create index on pg_temp.${table} (${versionKey}, ${versionPosition})`);
    await database.query(`analyze pg_temp.${table}`);
  }
}

/** The same, but not copied: who looks at few of them finds them by their index, and sees later ones too. */
export async function showVersions(database: Client, pipeline: Pipeline): Promise<void> {
  for (const [name, dimension] of Object.entries(pipeline.source.dimensions)) await database.query(`create temporary view ${quote(versionsTable(name))} as ${versionsOf(pipeline, name, dimension)}`);
}

function versionsOf(pipeline: Pipeline, name: string, { columns }: DimensionTable): string {
  const values = Object.entries(columns).map(([column, { type }]) => `(row ->> ${quoted(column)})::${type === 'other' ? 'text' : type} as ${quote(column)}`);
  return `select key as ${versionKey}, position as ${versionPosition}, row is null as " deleted", ${values.join(', ')} from sluice.dimension_version where pipeline = ${quoted(pipeline.name)} and dimension = ${quoted(name)}`;
}

/** The version of a dimension that was valid at a position, as a lateral join under the name `alias` (E16). */
export function validVersion(dimension: string, alias: string, key: string, position: string): string {
  return `left join lateral (select * from pg_temp.${quote(versionsTable(dimension))} version
    where version.${versionKey} = ${key} and version.${versionPosition} <= ${position} order by version.${versionPosition} desc limit 1) ${quote(alias)} on true`;
}

/** The newest versions are the source's rows. */
export async function checkDimensions(database: Client, pipeline: Pipeline): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [name, dimension] of Object.entries(pipeline.source.dimensions)) checks.push(await checkDimension(database, name, dimension));
  return checks;
}

/** Of a column that the source has lost, versions keep what it was. */
function checkDimension(database: Client, name: string, dimension: DimensionTable): Promise<Check> {
  const { columns, key } = dimension;
  const names = [key, ...Object.keys(columns).filter((column) => column !== key && nameInSource(dimension, column) !== undefined)];
  const compared = names.map((column) => ({ name: column, type: comparedType(columns[column]!.type) }));
  const values = (alias: string) => compared.map((column) => `${alias}.${quote(column.name)}::${column.type} as ${quote(column.name)}`).join(', ');
  return compare(database, {
    sink: 'aggregate',
    what: `${name}: newest versions`,
    columns: compared,
    keys: 1,
    expected: `select ${values('source')} from pg_temp.${quote(sourceTable(name))} source`,
    actual: `select ${values('newest')} from (select distinct on (${versionKey}) * from pg_temp.${quote(versionsTable(name))} order by ${versionKey}, ${versionPosition} desc) newest where not " deleted"`,
  });
}
