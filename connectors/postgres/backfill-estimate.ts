import type { Client } from 'pg';
import { nameInSource, type EventTable, type Pipeline } from '../../core/pipeline.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { quote, quoteRelation } from './source-catalog.ts';

export type RangeEstimate = {
  /** What the source's planner expects: as good as its statistics. */
  readonly rows: number;
  /** The event time has an index; without one, each chunk reads the whole table. */
  readonly hasIndex: boolean;
};

export async function estimateRange(source: Client, pipeline: Pipeline, range: PaneRange): Promise<RangeEstimate> {
  const { events } = pipeline.source;
  const { rows } = await source.query<{ 'QUERY PLAN': readonly { readonly Plan: { readonly 'Plan Rows': number } }[] }>(`explain (format json) select from ${quoteRelation(events.relation)} where ${within(pipeline, range)}`);
  return { rows: rows[0]!['QUERY PLAN'][0]!.Plan['Plan Rows'], hasIndex: await hasTimeIndex(source, events) };
}

/** Of the first piece to read: what it has tells how long the others should be. */
export async function firstLength(source: Client, pipeline: Pipeline, range: PaneRange, wantedRows: number): Promise<{ readonly hasIndex: boolean; readonly lengthMs: number }> {
  const { rows, hasIndex } = await estimateRange(source, pipeline, range);
  const allMs = range.toMs - range.fromMs;
  return { hasIndex, lengthMs: hasIndex ? Math.min(allMs / 4, (allMs * wantedRows) / Math.max(1, rows)) : allMs / scansWithoutIndex };
}

/** So often a table without an index on its event time is read. */
export const scansWithoutIndex = 8;

/** As SQL: the event time is in a range. Of times without a zone, UTC's. */
export function within({ source: { events } }: Pick<Pipeline, 'source'>, { fromMs, toMs }: PaneRange): string {
  const { type } = events.columns[events.eventTime]!;
  // from the year 10000 on a Date writes +010000
  const time = (ms: number) => `'${new Date(ms).toISOString().replace(/^\+0*/, '')}'::timestamptz${type === 'timestamp' ? " at time zone 'UTC'" : ''}`;
  const column = quote(nameInSource(events, events.eventTime)!);
  return `${column} >= ${time(fromMs)} and ${column} < ${time(toMs)}`;
}

/** A valid one that begins with it; of a partitioned table, its own. */
export async function hasTimeIndex(source: Client, events: EventTable): Promise<boolean> {
  const { rows } = await source.query(
    `select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
      where i.indrelid = to_regclass($1) and i.indisvalid and i.indpred is null and a.attname = $2 limit 1`,
    [quoteRelation(events.relation), nameInSource(events, events.eventTime)],
  );
  return rows.length > 0;
}
