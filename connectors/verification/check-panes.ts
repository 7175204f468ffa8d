import type { Client } from 'pg';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { extremesOf, sumsOf } from '../../core/views/extremes.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import type { PaneSet } from '../../core/views/panes.ts';
import type { Check } from '../../core/verification.ts';
import { hasLostExtreme, mergedParts } from '../postgres/aggregate/merged-panes.ts';
import { paneTable } from '../postgres/aggregate/pane-store.ts';
import { quote } from '../postgres/source-catalog.ts';
import { quoted } from './columns.ts';
import { compare, type Comparison } from './compare.ts';
import { rowsOfLetters } from './dead-letters.ts';
import { notAllZero, panesOf, sourcePanes } from './pane-sql.ts';

/** I7: per key and pane, panes plus everything set aside, late or as dead letters, equal the view's SQL over the source. */
export async function checkPanes(database: Client, pipeline: Pipeline, set: PaneSet, horizonMs: number): Promise<Check> {
  const actual = panesWithAside(pipeline, set);
  const where = `pane_ms >= ${horizonMs}`;
  if (extremesOf(set).length === 0) return comparePanes(database, set, actual, where);
  // it is read for both sides
  const table = quote(`actual panes of ${set.name}`);
  await database.query(`create temporary table ${table} as ${actual}`);
  await database.query(`analyze pg_temp.${table}`);
  const check = await comparePanes(database, set, `select * from pg_temp.${table}`, where);
  await database.query(`drop table pg_temp.${table}`);
  return check;
}

/**
 * `actual`: a query of pane_ms, key, and the accumulators a0, a1, ... A min or max that was lost, so that only the source knows the
 * next one (E15), is compared on neither side: that is said.
 */
export async function comparePanes(database: Client, set: PaneSet, actual: string, where: string, more: Pick<Comparison, 'listed' | 'windowOf'> = {}): Promise<Check> {
  const rowsOf = new Map(extremesOf(set).flatMap(({ value, rows }) => [[value, rows] as const, [rows, rows] as const]));
  const sides = (of: 'e' | 'a') =>
    set.accumulators.map(({ name }, place) => {
      const rows = rowsOf.get(place);
      return `${rows === undefined ? `${of}.a${place}` : `case when a.a${rows} <= 0 then null else ${of}.a${place} end`} as ${quote(name)}`;
    });
  const some = (panes: string) => `(select * from ${panes} all_panes where ${where} and ${notAllZero(sumsOf(set))})`;
  const beside = rowsOf.size === 0 ? '' : `left join (${actual}) a on a.pane_ms = e.pane_ms and a.key = e.key`;
  return compare(database, {
    sink: 'aggregate',
    what: `panes of ${set.views.map(({ name }) => name).join(', ')}, with late ones`,
    columns: [{ name: 'pane_ms', type: 'bigint' }, { name: 'key', type: 'text collate "C"' }, ...set.accumulators.map(({ name }) => ({ name, type: 'numeric' }))],
    keys: 2,
    expected: `select e.pane_ms, e.key, ${sides('e').join(', ')} from ${some(sourcePanes(set))} e ${beside}`,
    actual: `select a.pane_ms, a.key, ${sides('a').join(', ')} from ${some(`(${actual})`)} a`,
    ...(await lostNote(database, set, actual, where)),
    ...more,
  });
}

async function lostNote(database: Client, set: PaneSet, actual: string, where: string): Promise<Pick<Comparison, 'note'>> {
  const hasLost = hasLostExtreme(set, (place) => `a${place}`);
  if (hasLost === undefined) return {};
  const { rows } = await database.query<{ panes: number }>(`select count(distinct pane_ms)::int as panes from (${actual}) panes where ${where} and ${hasLost}`);
  const { panes } = rows[0]!;
  if (panes === 0) return {};
  return { note: `${panes === 1 ? 'one pane has' : `${panes} panes have`} lost a min or max, and only the source knows the next one (E15): until it is computed anew it is not compared. A pipeline does that by itself; ./sluice repair does it now` };
}

/**
 * As a query. `at`: those of a range as they were at a place of the stream that the lane has passed, if what changed in them was
 * kept from before it on (E18).
 */
export function panesWithAside(pipeline: Pipeline, set: PaneSet, at?: { readonly range: PaneRange; readonly base: Position }): string {
  const extremes = new Set(extremesOf(set).map(({ value }) => value));
  const places = set.accumulators.map((_, place) => place);
  // what is taken away from a part is its sums, and its rows with an extreme: of those that are left there are less
  const signed = (sign: '' | '-', value: (place: number) => string) => places.map((place) => `${extremes.has(place) ? '' : sign}${value(place)} as a${place}`).join(', ');
  const within = at ? `pane_ms >= ${at.range.fromMs} and pane_ms < ${at.range.toMs}` : 'true';
  const kept = set.accumulators.map(({ name }, place) => `${quote(name)}::numeric as a${place}`).join(', ');
  const deltas = (sign: '' | '-') => signed(sign, (place) => `deltas[${place + 1}]::numeric`);
  const of = `where pipeline = ${quoted(pipeline.name)} and pane_set = ${quoted(set.name)} and ${within}`;
  const letters = ([1, -1] as const).map((sign) => `union all select pane_ms, key, ${signed(sign === 1 ? '' : '-', (place) => `a${place}`)} from (${panesOf(pipeline, set, rowsOfLetters(pipeline, set, sign))}) letters where ${within}`);
  return mergedParts(
    set,
    `select pane_ms, key, ${kept} from ${paneTable(pipeline.name, set)} where ${within}
        union all select pane_ms, key, ${deltas('')} from sluice.late ${of}${at ? ` and position < ${quoted(at.base)}` : ''}
        ${at ? `union all select pane_ms, key, ${deltas('-')} from sluice.kept_change ${of} and position >= ${quoted(at.base)}` : ''}
        ${letters.join(' ')}`,
  );
}
