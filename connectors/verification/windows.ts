import type { Client } from 'pg';
import type { Pipeline } from '../../core/pipeline.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import type { PaneSet, PaneView } from '../../core/views/panes.ts';
import { accumulatorsOf, presenceOf } from '../../core/views/results.ts';
import { replacing, type Rebuilding } from '../../core/views/rebuilding.ts';
import { boundsAt, noClock } from '../../core/views/watermark.ts';
import { endsOver, isPublished } from '../../core/views/windows.ts';
import { paneTable } from '../postgres/aggregate/pane-store.ts';
import { bucketSums, bucketsTold, byBucket } from '../postgres/aggregate/buckets-sql.ts';
import { overPanes } from '../postgres/aggregate/window-query.ts';
import { quote } from '../postgres/source-catalog.ts';
import type { Queryable } from '../postgres/state/state.ts';
import { quoted } from './columns.ts';
import { measureSql, notAllZero } from './pane-sql.ts';

/** Where the aggregate lane is: its clocks in microseconds, its horizon, the closed panes that it has yet to look at, and those that are being computed anew. */
export type AggregateNow = { readonly clock: number; readonly loaded: number; readonly horizonMs: number; readonly outboxSeq: number; readonly dirty: Readonly<Record<string, readonly number[]>>; readonly rebuilding: readonly Rebuilding[] };

export async function readAggregateNow(database: Queryable, pipeline: string): Promise<AggregateNow> {
  const { rows } = await database.query<{ clock: string | null; loaded: string | null; horizon: string; seq: string; dirty: AggregateNow['dirty']; rebuilding: AggregateNow['rebuilding'] }>(
    'select clock_us as clock, loaded_clock_us as loaded, horizon_ms as horizon, outbox_seq as seq, dirty, rebuilding from sluice.aggregate where pipeline = $1',
    [pipeline],
  );
  const row = rows[0];
  const clock = (value: string | null | undefined) => (value == null ? noClock : Number(value));
  return { clock: clock(row?.clock), loaded: clock(row?.loaded), horizonMs: Number(row?.horizon ?? 0), outboxSeq: Number(row?.seq ?? 0), dirty: row?.dirty ?? {}, rebuilding: row?.rebuilding ?? [] };
}

/** The temporary table of a view's windows as they should be published: window_end_ms, rank, key, revision, final, its measures, its labels. */
export function windowsTable(view: string): string {
  return `windows of ${view}`;
}

export const measureColumn = (name: string) => `measure ${name}`;

/** The ends of the windows of a view that can be compared, as a condition on `window_end_ms`. */
export function comparableEnds(pipeline: Pipeline, view: string, { horizonMs, dirty, rebuilding, ...clocks }: AggregateNow): string {
  const { set, paneView } = viewOf(pipeline, view);
  const { window } = paneView;
  const { closesUpToMs } = boundsAt(clocks, set.paneMs, pipeline.settings);
  // they are published again at the next crossing
  const awaited = Number.isFinite(closesUpToMs) ? endsOver(dirty[set.name] ?? [], window, closesUpToMs) : [];
  // said when the backfill is over: panes are done from the left on
  const half = replacing(rebuilding).filter(({ sets }) => sets.includes(set.name)).map(({ fromMs }) => ` and not (window_end_ms > ${fromMs} and window_end_ms - ${window.sizeMs} < ${fromMs})`);
  return `window_end_ms - ${window.sizeMs} >= ${horizonMs}${half.join('')}${awaited.length > 0 ? ` and window_end_ms not in (${awaited.join(', ')})` : ''}`;
}

/** Every closed window that has a result: the top N of its panes, greater score first, then the key's text (I7). `only`: those of some views that end in a range, behind its beginning. */
export async function makeExpectedWindows(database: Client, pipeline: Pipeline, aggregate: AggregateNow, only?: { readonly views: readonly string[]; readonly range: PaneRange }): Promise<void> {
  for (const view of only?.views ?? Object.keys(pipeline.views)) {
    if (!isPublished(pipeline, view)) continue;
    const { set, paneView } = viewOf(pipeline, view);
    const bounds = boundsAt(aggregate, set.paneMs, pipeline.settings);
    const table = quote(windowsTable(view));
    await database.query(`create temporary table ${table} as ${topOfPanes(pipeline, set, paneView, bounds.closesUpToMs, only?.range)}`);
    await database.query(`delete from pg_temp.${table} where not (${comparableEnds(pipeline, view, aggregate)})`);
    await database.query(`analyze pg_temp.${table}`);
  }
}

function topOfPanes(pipeline: Pipeline, set: PaneSet, view: PaneView, closesUpToMs: number, within: PaneRange | undefined): string {
  const { sizeMs, everyMs } = view.window;
  const present = presenceOf(view);
  const sums = [...new Set([...accumulatorsOf(view), ...present])].map((place) => `(${overPanes(set, place)})::numeric as a${place}`);
  const measures = Object.keys(view.measures).map((name) => `, ${measureSql(view, name)} as ${quote(measureColumn(name))}`).join('');
  const closed = Number.isFinite(closesUpToMs) ? `ends.end_ms <= ${closesUpToMs}` : 'false';
  const wanted = within ? ` and panes.pane_ms > ${within.fromMs - sizeMs} and panes.pane_ms < ${within.toMs} and ends.end_ms > ${within.fromMs} and ends.end_ms <= ${within.toMs}` : '';
  const entries = `select ends.end_ms as window_end_ms, panes.* from ${paneTable(pipeline.name, set)} panes cross join lateral generate_series(panes.pane_ms + ${everyMs}, panes.pane_ms + ${sizeMs}, ${everyMs}) as ends (end_ms) where ${closed}${wanted}`;
  const grouped = `select ${['window_end_ms', 'key', ...sums, ...bucketSums(view)].join(', ')} from (${byBucket(set, entries, ['window_end_ms'])}) panes group by 1, 2`;
  return `select ranked.*, published.revision, published.final from (
      select window_end_ms, (row_number() over (partition by window_end_ms order by score desc nulls last, key collate "C"))::int as rank, key${Object.keys(view.measures).map((name) => `, ${quote(measureColumn(name))}`).join('')}
      from (select window_end_ms, key, ${measureSql(view, view.rankBy)} as score${measures} from (${bucketsTold(view, grouped)}) sums where ${notAllZero(present)}) measured
    ) ranked left join sluice.published_window published on published.pipeline = ${quoted(pipeline.name)} and published.view = ${quoted(view.name)} and published.window_end_ms = ranked.window_end_ms
    where rank <= ${view.top}`;
}

export function viewOf(pipeline: Pipeline, name: string): { set: PaneSet; paneView: PaneView } {
  for (const set of paneSetsOf(pipeline)) {
    const paneView = set.views.find((each) => each.name === name);
    if (paneView) return { set, paneView };
  }
  throw new TypeError(`pipeline ${pipeline.name} has no view ${name}`);
}
