import type { Client } from 'pg';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { quote } from '../postgres/source-catalog.ts';
import { quoted } from './columns.ts';
import { versionKey, versionPosition, versionsTable } from './dimensions.ts';

/** The temporary table of what the outbox still says of a view's windows: window_end_ms, key, measures, labels; the last word on each. */
export function publishedTable(view: string): string {
  return `published rows of ${view}`;
}

export async function readPublishedRows(database: Client, pipeline: string, view: string): Promise<void> {
  const table = quote(publishedTable(view));
  await database.query(`drop table if exists pg_temp.${table}`);
  await database.query(
    `create temporary table ${table} as
       select window_end_ms, entry ->> 'key' collate "C" as key, entry -> 'measures' as measures, entry -> 'labels' as labels
         from (select distinct on ((message ->> 'windowEndMs')::bigint) (message ->> 'windowEndMs')::bigint as window_end_ms, message
                 from sluice.outbox where pipeline = ${quoted(pipeline)} and view = ${quoted(view)} and message ? 'windowEndMs'
                order by (message ->> 'windowEndMs')::bigint, seq desc) last_words
         cross join jsonb_array_elements(message -> 'rows') as entry`,
  );
  await database.query(`analyze pg_temp.${table}`);
}

/**
 * What a label should be: as it was published, if the dimension's row ever had that value; else its newest. Which version
 * was valid when a window was published is known only while its message is in the outbox. `said` is true if it is,
 * `published` what it says, `shown` what the sink has.
 */
export function labelSql(pipeline: Pipeline, view: string, label: string, { key, said, published, shown }: { key: string; said: string; published: string; shown: string }, loadedAt: Position): string {
  const { dimension, column } = pipeline.views[view]!.labels[label]!;
  const versions = `pg_temp.${quote(versionsTable(dimension))} version where version.${versionKey} = ${key}`;
  const value = `concat(version.${quote(column)})`;
  const candidate = `(case when ${said} then ${published} else ${shown} end)`;
  const was = `exists (select from ${versions} and (case when version.${quote(column)} is not null then ${value} end) is not distinct from ${candidate})`;
  // it may have been published before there was such a row
  const absent = `(${candidate} is null and not exists (select from ${versions} and version.${versionPosition} <= ${quoted(loadedAt)}))`;
  const newest = `(select case when version.${quote(column)} is not null then ${value} end from ${versions} order by version.${versionPosition} desc limit 1)`;
  return `(case when ${was} or ${absent} then ${candidate} else ${newest} end)`;
}
