import { rowSchema } from '../../core/define/row-schema.ts';
import { toSql } from '../../core/expressions/sql.ts';
import { readsLost } from '../../core/migration/lost.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { quote } from '../postgres/source-catalog.ts';
import type { ComparedColumn } from './columns.ts';
import { comparedType } from './columns.ts';
import { sourceTable, validVersion } from './dimensions.ts';

/** The position of a row that a sink has; no column of a definition can have this name. */
export const positionColumn: ComparedColumn = { name: ' position', type: 'text collate "C"' };

/** The columns of an enriched row as they are compared, its key first, and without those of which the source knows only what came after a migration. */
export function enrichedColumns(pipeline: Pipeline): readonly ComparedColumn[] {
  const { key } = pipeline.source.events;
  const schema = rowSchema(pipeline);
  return [key, ...Object.keys(schema).filter((name) => name !== key && !readsLost(pipeline, pipeline.row[name]))].map((name) => ({ name, type: comparedType(schema[name]!.type) }));
}

/**
 * Every enriched row by SQL: the source's events, each with the dimension versions that were valid at the position which
 * the sink's row has (E16). `sinkRows` is the temporary table of the sink's rows, with their positions.
 */
export function expectedRows(pipeline: Pipeline, sinkRows: string): string {
  const { events, dimensions } = pipeline.source;
  const key = quote(events.key);
  const aliases = Object.fromEntries(['events', ...Object.keys(dimensions)].map((table) => [table, `${table} row`]));
  const values = enrichedColumns(pipeline).map(({ name, type }) => `(${toSql(pipeline.row[name]!, aliases)})::${type} as ${quote(name)}`);
  const event = quote(aliases['events']!);
  const joins = Object.entries(dimensions).map(([name, { on }]) => {
    const value = `${event}.${quote(on)}`;
    // concat, because a cast to text is not what Postgres puts out for every type
    return validVersion(name, aliases[name]!, `(case when ${value} is not null then concat(${value}) end)`, 'sink." position"');
  });
  return `select ${values.join(', ')} from pg_temp.${quote(sourceTable('events'))} ${event}
    left join (select ${key}, max(" position") as " position" from pg_temp.${quote(sinkRows)} group by ${key}) sink on sink.${key} = ${event}.${key} ${joins.join(' ')}`;
}
