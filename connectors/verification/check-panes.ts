import type { Client } from 'pg';
import type { Pipeline } from '../../core/pipeline.ts';
import type { PaneSet } from '../../core/views/panes.ts';
import type { Check } from '../../core/verification.ts';
import { paneTable } from '../postgres/aggregate/pane-store.ts';
import { quote } from '../postgres/source-catalog.ts';
import { quoted } from './columns.ts';
import { compare } from './compare.ts';
import { rowsOfLetters } from './dead-letters.ts';
import { notAllZero, panesOf, sourcePanes } from './pane-sql.ts';

/** I7: per key and pane, panes plus everything set aside, late or as dead letters, equal the view's SQL over the source. */
export function checkPanes(database: Client, pipeline: Pipeline, set: PaneSet, horizonMs: number): Promise<Check> {
  const places = set.accumulators.map((_, place) => place);
  const named = set.accumulators.map(({ name }, place) => `a${place} as ${quote(name)}`).join(', ');
  const kept = set.accumulators.map(({ name }, place) => `${quote(name)}::numeric as a${place}`).join(', ');
  const aside = places.map((place) => `deltas[${place + 1}]::numeric as a${place}`).join(', ');
  const sums = places.map((place) => `sum(a${place}) as a${place}`).join(', ');
  const letters = ([1, -1] as const).map((sign) => `union all select pane_ms, key, ${places.map((place) => `${sign} * a${place}`).join(', ')} from (${panesOf(pipeline, set, rowsOfLetters(pipeline, set, sign))}) letters`);
  return compare(database, {
    sink: 'aggregate',
    what: `panes of ${set.views.map(({ name }) => name).join(', ')}, with late ones`,
    columns: [{ name: 'pane_ms', type: 'bigint' }, { name: 'key', type: 'text collate "C"' }, ...set.accumulators.map(({ name }) => ({ name, type: 'numeric' }))],
    keys: 2,
    expected: `select pane_ms, key, ${named} from ${sourcePanes(set)} where pane_ms >= ${horizonMs} and ${notAllZero(places)}`,
    actual: `select pane_ms, key, ${named} from (select pane_ms, key, ${sums} from (
        select pane_ms, key, ${kept} from ${paneTable(pipeline.name, set)}
        union all select pane_ms, key, ${aside} from sluice.late where pipeline = ${quoted(pipeline.name)} and pane_set = ${quoted(set.name)}
        ${letters.join(' ')}
      ) parts group by pane_ms, key) panes where pane_ms >= ${horizonMs} and ${notAllZero(places)}`,
  });
}
