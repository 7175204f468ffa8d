import type { Client } from 'pg';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import type { PaneSet } from '../../core/views/panes.ts';
import type { Check } from '../../core/verification.ts';
import { paneTable } from '../postgres/aggregate/pane-store.ts';
import { quote } from '../postgres/source-catalog.ts';
import { quoted } from './columns.ts';
import { compare, type Comparison } from './compare.ts';
import { rowsOfLetters } from './dead-letters.ts';
import { notAllZero, panesOf, sourcePanes } from './pane-sql.ts';

/** I7: per key and pane, panes plus everything set aside, late or as dead letters, equal the view's SQL over the source. */
export function checkPanes(database: Client, pipeline: Pipeline, set: PaneSet, horizonMs: number): Promise<Check> {
  return comparePanes(database, set, panesWithAside(pipeline, set), `pane_ms >= ${horizonMs}`);
}

/** `actual`: a query of pane_ms, key, and the accumulators a0, a1, ... */
export function comparePanes(database: Client, set: PaneSet, actual: string, where: string, more: Pick<Comparison, 'listed' | 'windowOf'> = {}): Promise<Check> {
  const places = set.accumulators.map((_, place) => place);
  const named = set.accumulators.map(({ name }, place) => `a${place} as ${quote(name)}`).join(', ');
  const some = `where ${where} and ${notAllZero(places)}`;
  return compare(database, {
    sink: 'aggregate',
    what: `panes of ${set.views.map(({ name }) => name).join(', ')}, with late ones`,
    columns: [{ name: 'pane_ms', type: 'bigint' }, { name: 'key', type: 'text collate "C"' }, ...set.accumulators.map(({ name }) => ({ name, type: 'numeric' }))],
    keys: 2,
    expected: `select pane_ms, key, ${named} from ${sourcePanes(set)} ${some}`,
    actual: `select pane_ms, key, ${named} from (${actual}) panes ${some}`,
    ...more,
  });
}

/**
 * As a query. `at`: those of a range as they were at a place of the stream that the lane has passed, if what changed in them was
 * kept from before it on (E18).
 */
export function panesWithAside(pipeline: Pipeline, set: PaneSet, at?: { readonly range: PaneRange; readonly base: Position }): string {
  const places = set.accumulators.map((_, place) => place);
  const within = at ? `pane_ms >= ${at.range.fromMs} and pane_ms < ${at.range.toMs}` : 'true';
  const kept = set.accumulators.map(({ name }, place) => `${quote(name)}::numeric as a${place}`).join(', ');
  const deltas = (sign: string) => places.map((place) => `${sign}deltas[${place + 1}]::numeric`).join(', ');
  const of = `where pipeline = ${quoted(pipeline.name)} and pane_set = ${quoted(set.name)} and ${within}`;
  const letters = ([1, -1] as const).map((sign) => `union all select pane_ms, key, ${places.map((place) => `${sign} * a${place}`).join(', ')} from (${panesOf(pipeline, set, rowsOfLetters(pipeline, set, sign))}) letters where ${within}`);
  return `select pane_ms, key, ${places.map((place) => `sum(a${place}) as a${place}`).join(', ')} from (
        select pane_ms, key, ${kept} from ${paneTable(pipeline.name, set)} where ${within}
        union all select pane_ms, key, ${deltas('')} from sluice.late ${of}${at ? ` and position < ${quoted(at.base)}` : ''}
        ${at ? `union all select pane_ms, key, ${deltas('-')} from sluice.kept_change ${of} and position >= ${quoted(at.base)}` : ''}
        ${letters.join(' ')}
      ) parts group by pane_ms, key`;
}
