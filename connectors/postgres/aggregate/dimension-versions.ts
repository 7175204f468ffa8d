import { postgresText } from '../../../core/columns/postgres-text.ts';
import type { DimensionTable, Pipeline } from '../../../core/pipeline.ts';
import { positionAt, rowsUpTo } from '../../../core/position.ts';
import type { Position } from '../../../core/position.ts';
import type { Batch, Segment } from '../../../core/segment.ts';
import { Operation, batchOf } from '../../../core/segment.ts';
import type { DimensionRow, DimensionVersions } from '../dimensions-at.ts';
import type { Queryable } from '../state/state.ts';
import { readFence, unhurried } from '../state/state.ts';

/** Keeps the dimension events in (from, to] as versions by position (E16), truncates included. */
export async function keepDimensionVersions(client: Queryable, pipeline: Pipeline, segments: readonly Segment[], from: Position, to: Position): Promise<void> {
  for (const [name, dimension] of Object.entries(pipeline.source.dimensions)) {
    const versions = segments.flatMap((segment) => versionsIn(segment, name, dimension, from, to));
    for (let at = 0; at < versions.length; at += versionsAtOnce) await insert(client, pipeline.name, name, versions.slice(at, at + versionsAtOnce));
  }
  // a truncate takes away the versions below its own position only, so those above may be there already
  for (const { table, position } of segments.flatMap(({ truncates }) => truncates)) {
    if (table in pipeline.source.dimensions && position > from && position <= to) await truncate(client, pipeline.name, table, position);
  }
}

export function keptVersions(state: Queryable, pipeline: string): DimensionVersions {
  return { fence: () => readFence(state, pipeline, 'aggregate'), rowsAt: (dimension, at) => readDimensions(state, pipeline, dimension, at) };
}

/** A dimension's rows by key as of a position: the newest version of each at or below it. */
export async function readDimensions(state: Queryable, pipeline: string, dimension: string, at: Position): Promise<ReadonlyMap<string, DimensionRow>> {
  const { rows } = await state.query<{ key: string; row: DimensionRow | null }>(
    `select distinct on (key) key, row from sluice.dimension_version
     where pipeline = $1 and dimension = $2 and position <= $3 order by key, position desc`,
    [pipeline, dimension, at],
  );
  return new Map(rows.flatMap(({ key, row }) => (row ? [[key, row] as const] : [])));
}

type Version = { readonly key: string; readonly position: Position; readonly row: string | null };

const versionsAtOnce = 5_000;

function versionsIn(segment: Segment, name: string, dimension: DimensionTable, from: Position, to: Position): Version[] {
  const versions: Version[] = [];
  const within = (batch: Batch | undefined, take: (batch: Batch, row: number) => void) => {
    if (!batch) return;
    const end = rowsUpTo(batch.positions, batch.rows, to);
    for (let row = rowsUpTo(batch.positions, batch.rows, from); row < end; row++) take(batch, row);
  };
  const keyOf = (batch: Batch, row: number) => postgresText(batch.columns.get(dimension.key)!, row)!;
  within(batchOf(segment, name, 'after'), (batch, row) => {
    const columns = Object.keys(dimension.columns).map((column) => [column, postgresText(batch.columns.get(column)!, row)] as const);
    versions.push({ key: keyOf(batch, row), position: positionAt(batch.positions, row), row: JSON.stringify(Object.fromEntries(columns)) });
  });
  within(batchOf(segment, name, 'before'), (batch, row) => {
    if (batch.operations[row] === Operation.delete) versions.push({ key: keyOf(batch, row), position: positionAt(batch.positions, row), row: null });
  });
  return versions;
}

async function insert(client: Queryable, pipeline: string, dimension: string, versions: readonly Version[]): Promise<void> {
  await client.query({
    name: 'keep dimension versions',
    text: `insert into sluice.dimension_version (pipeline, dimension, key, position, row)
           select $1, $2, key, position, row::jsonb from unnest($3::text[], $4::text[], $5::text[]) as version (key, position, row)
           on conflict do nothing`,
    values: [pipeline, dimension, versions.map(({ key }) => key), versions.map(({ position }) => position), versions.map(({ row }) => row)],
  });
}

async function truncate(client: Queryable, pipeline: string, dimension: string, at: Position): Promise<void> {
  await client.query(unhurried({
    text: `insert into sluice.dimension_version (pipeline, dimension, key, position, row)
           select $1, $2, key, $3, null from (
             select distinct on (key) key, row from sluice.dimension_version
             where pipeline = $1 and dimension = $2 and position < $3 order by key, position desc
           ) newest where row is not null
           on conflict do nothing`,
    values: [pipeline, dimension, at],
  }));
}
