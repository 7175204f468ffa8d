import type { Client } from 'pg';
import type { DimensionTable, Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { Check } from '../../core/verification.ts';
import { quote } from '../postgres/source-catalog.ts';
import { columnDefinitions, comparedType, quoted } from './columns.ts';
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
    const columns = Object.entries(dimension.columns).map(([column, { type }]) => ({ name: column, type: type === 'other' ? 'text' : type }));
    const table = quote(versionsTable(name));
    await database.query(`create temporary table ${table} (${versionKey} text collate "C", ${versionPosition} text collate "C", " deleted" boolean, ${columnDefinitions(columns)})`);
    await database.query(
      `insert into pg_temp.${table} select key, position, row is null, ${columns.map(({ name: column, type }) => `(row ->> ${quoted(column)})::${type}`).join(', ')}
         from sluice.dimension_version where pipeline = $1 and dimension = $2 and position < $3`,
      [pipeline.name, name, below],
    );
    await database.query(`create index on pg_temp.${table} (${versionKey}, ${versionPosition})`);
    await database.query(`analyze pg_temp.${table}`);
  }
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

function checkDimension(database: Client, name: string, { columns, key }: DimensionTable): Promise<Check> {
  const names = [key, ...Object.keys(columns).filter((column) => column !== key)];
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
