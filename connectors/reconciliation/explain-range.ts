import type { Client } from 'pg';
import type { ExplainedWindow } from '../../core/explained-window.ts';
import { textsText, type Texts } from '../../core/verification.ts';
import { isExtreme } from '../../core/views/extremes.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import type { PaneSet } from '../../core/views/panes.ts';
import { plainKey } from '../postgres/aggregate/buckets-sql.ts';
import { quote } from '../postgres/source-catalog.ts';
import { clickhouseRows } from '../verification/check-clickhouse.ts';
import { sourceTable } from '../verification/dimensions.ts';
import { sourcePanes } from '../verification/pane-sql.ts';
import { viewOf } from '../verification/windows.ts';
import { compareRange, panesTable } from './compare-range.ts';
import { resultsTable } from './compare-results.ts';
import { insisting, type Place } from './place.ts';

/** Compares the range of one window of a view, and tells what there is on each side. */
export async function explainRange(place: Place, view: string, range: PaneRange): Promise<Pick<ExplainedWindow, 'source' | 'sinks' | 'compared'>> {
  const { database, pipeline } = place;
  const { set } = viewOf(pipeline, view);
  const { compared } = await insisting(place, () => compareRange(place, range, [], { fromMs: range.toMs - set.paneMs, toMs: range.toMs }));
  const sinks: { sink: string; has: string }[] = [{ sink: 'aggregate', has: `panes: ${textsText(await sums(database, set, `pg_temp.${quote(panesTable(set))}`))}` }];
  for (const [lane, sink] of Object.entries(pipeline.sinks)) {
    if (sink.kind === 'clickhouse') sinks.push({ sink: lane, has: `${await count(database, clickhouseRows)} rows of ${sink.table}` });
    if (sink.kind === 'postgres-results' && sink.view === view) sinks.push({ sink: lane, has: await ranks(database, lane, sink.table, range.toMs) });
    if (sink.kind === 'redis-live' || sink.kind === 'redis-results') sinks.push({ sink: lane, has: 'shows the present only: ./sluice reconcile compares it' });
    if (sink.kind === 'http') sinks.push({ sink: lane, has: 'not comparable without its receiver' });
  }
  const relevant = compared.filter(({ mend }) => (mend.tag === 'views' ? mend.views.includes(view) : mend.tag !== 'say' || mend.view === view));
  return { source: { rows: Number(await count(database, sourceTable('events'))), counted: await sums(database, set, sourcePanes(set)), first: await firstRows(place, set) }, sinks, compared: relevant };
}

/** Not known of a destination that did not answer. */
async function count(database: Client, table: string): Promise<string> {
  const { rows: [found] } = await database.query<{ isThere: boolean }>('select to_regclass($1) is not null as "isThere"', [`pg_temp.${quote(table)}`]);
  if (!found!.isThere) return 'unknown';
  const { rows } = await database.query<{ count: string }>(`select count(*)::text as count from pg_temp.${quote(table)}`);
  return rows[0]!.count;
}

/** Over all keys, each accumulator by its name. */
async function sums(database: Client, { accumulators, buckets }: PaneSet, table: string): Promise<Texts> {
  const shown = accumulators.flatMap((accumulator, place) => (accumulator.kind === 'rows' ? [] : [{ place, name: accumulator.name, over: isExtreme(accumulator) ? `${accumulator.kind}(a${place})` : `coalesce(sum(a${place}), 0)`, scale: accumulator.scale }]));
  const values = shown.map(({ place, over, scale }) => `trim_scale(${over} * 1e-${scale}::numeric)::text as a${place}`);
  const { rows } = await database.query<Record<string, string | null>>(`select count(distinct ${buckets ? plainKey : 'key'})::text as keys, ${values.join(', ')} from ${table}`);
  return { keys: rows[0]!['keys']!, ...Object.fromEntries(shown.map(({ name, place }) => [name, rows[0]![`a${place}`] ?? null])) };
}

async function ranks(database: Client, lane: string, table: string, endMs: number): Promise<string> {
  const { rows } = await database.query<{ count: string; revision: number | null; final: boolean | null }>(`select count(*)::text as count, max(revision) as revision, bool_and(final) as final from pg_temp.${quote(resultsTable(lane))} where window_end_ms = $1`, [endMs]);
  const { count: found, revision, final } = rows[0]!;
  return found === '0' ? `no ranks in ${table}` : `${found} ranks in ${table}, revision ${revision}${final ? ', final' : ''}`;
}

/** By what one finds them, and no more of them: this goes into a history. */
async function firstRows({ database, pipeline: { source } }: Place, { key }: PaneSet): Promise<readonly Texts[]> {
  const names = [...new Set([source.events.key, source.events.eventTime, key])];
  const { rows } = await database.query<Texts>(`select ${names.map((name) => `${quote(name)}::text as ${quote(name)}`).join(', ')} from pg_temp.${quote(sourceTable('events'))} order by ${quote(source.events.eventTime)}, ${quote(source.events.key)} limit ${mostRows}`);
  return rows;
}

const mostRows = 5;
