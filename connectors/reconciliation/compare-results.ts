import type { Client } from 'pg';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { mostNamed, type Compared } from '../../core/reconcile.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { quote } from '../postgres/source-catalog.ts';
import { compareResults, shownRows } from '../verification/check-results-table.ts';
import { quoted } from '../verification/columns.ts';
import { readPublishedRows } from '../verification/published-rows.ts';
import { makeExpectedWindows, windowsTable, type AggregateNow } from '../verification/windows.ts';
import { comparedOf } from './place.ts';

type Definition = Extract<SinkDefinition, { kind: 'postgres-results' }>;

/**
 * Results tables are in the database of the panes: what is shown, and what should be, as of one moment. Without windows whose
 * message is still on its way to a table.
 */
export async function copyResults(database: Client, pipeline: Pipeline, range: PaneRange, aggregate: AggregateNow): Promise<void> {
  const all = resultsOf(pipeline);
  await makeExpectedWindows(database, pipeline, aggregate, { views: [...new Set(all.map(([, { view }]) => view))], range });
  for (const [lane, definition] of all) {
    await readPublishedRows(database, pipeline.name, definition.view);
    await database.query(`create temporary table ${quote(resultsTable(lane))} as select * from (${shownRows(pipeline, definition, aggregate)}) rows where window_end > ${time(range.fromMs)} and window_end <= ${time(range.toMs)}`);
    const waiting = `sluice.outbox where pipeline = ${quoted(pipeline.name)} and view = ${quoted(definition.view)} and seq > coalesce((select seq from sluice.relay_fence where pipeline = ${quoted(pipeline.name)} and lane = ${quoted(lane)}), 0)`;
    await without(database, lane, definition.view, `exists (select from ${waiting} and message ? 'truncated') or window_end_ms in (select (message ->> 'windowEndMs')::bigint from ${waiting} and message ? 'windowEndMs')`);
  }
}

/** Windows over panes that differ follow from them, and are left out. */
export async function compareCopiedResults(database: Client, pipeline: Pipeline, lane: string, definition: Definition, { range, loadedAt, found }: { readonly range: PaneRange; readonly loadedAt: Position; readonly found: readonly Compared[] }): Promise<Compared> {
  const { view } = definition;
  const { sizeMs, everyMs } = pipeline.views[view]!.window;
  const wrong = found.flatMap(({ mend, differing }) => (mend.tag === 'views' && mend.views.includes(view) ? differing : []));
  for (const { fromMs, toMs } of wrong) if (fromMs < range.toMs && toMs > range.fromMs - sizeMs) await without(database, lane, view, `window_end_ms > ${fromMs} and window_end_ms - ${sizeMs} < ${toMs}`);
  const shown = `select * from pg_temp.${quote(resultsTable(lane))}`;
  // a window by its last pane
  const check = await compareResults(database, pipeline, lane, definition, { shown, loadedAt, listed: mostNamed, windowOf: (alias) => `((extract(epoch from ${alias}.window_end) * 1000)::bigint - ${everyMs})` });
  return comparedOf(check, Math.floor(range.toMs / everyMs) - Math.floor(range.fromMs / everyMs), everyMs, { tag: 'say', view });
}

/** The temporary table of what a results table has of a range. */
export function resultsTable(lane: string): string {
  return `results of ${lane}`;
}

function resultsOf({ sinks }: Pipeline): readonly (readonly [string, Definition])[] {
  return Object.entries(sinks).flatMap(([lane, sink]) => (sink.kind === 'postgres-results' ? [[lane, sink] as const] : []));
}

async function without(database: Client, lane: string, view: string, where: string): Promise<void> {
  for (const table of [resultsTable(lane), windowsTable(view)]) await database.query(`delete from pg_temp.${quote(table)} where ${where}`);
}

function time(ms: number): string {
  return `'${new Date(ms).toISOString()}'::timestamptz`;
}
