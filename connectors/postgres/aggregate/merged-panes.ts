import { extremesOf } from '../../../core/views/extremes.ts';
import type { PaneSet } from '../../../core/views/panes.ts';

/*
 * Parts of panes are what was folded, kept or set aside of them; core/views/panes.ts says how they are merged, and this is that in
 * SQL. Accumulators are told by their places.
 */

type Accumulators = Pick<PaneSet, 'accumulators'>;

/** Two parts as one: an expression for each accumulator. `one`, `other`: those of the parts. */
export function bothParts({ accumulators }: Accumulators, one: (place: number) => string, other: (place: number) => string): readonly string[] {
  return accumulators.map((accumulator, place) => {
    switch (accumulator.kind) {
      case 'count':
      case 'sum':
        return `${one(place)} + ${other(place)}`;
      case 'min':
        return `least(${one(place)}, ${other(place)})`;
      case 'max':
        return `greatest(${one(place)}, ${other(place)})`;
      case 'rows': {
        const [mine, others] = [one(accumulator.extreme), other(accumulator.extreme)];
        const isBeyond = accumulators[accumulator.extreme]!.kind === 'max' ? '>' : '<';
        return `case when ${mine} is null or ${others} ${isBeyond} ${mine} then ${other(place)} when ${others} is null or ${mine} ${isBeyond} ${others} then ${one(place)} else ${one(place)} + ${other(place)} end`;
      }
    }
  });
}

/** Any number of parts. `parts`: a query of pane_ms, key, and the accumulators a0, a1, …; so is what is returned. */
export function mergedParts(set: Accumulators, parts: string): string {
  const extremes = extremesOf(set);
  const merged = set.accumulators.map((accumulator, place) => {
    switch (accumulator.kind) {
      case 'count':
      case 'sum':
        return `sum(a${place}) as a${place}`;
      case 'min':
      case 'max':
        return `${accumulator.kind}(a${place}) as a${place}`;
      case 'rows':
        return `coalesce(sum(a${place}) filter (where a${accumulator.extreme} = extreme${accumulator.extreme}), 0) as a${place}`;
    }
  });
  const found = extremes.map(({ value, isGreatest }) => `, ${isGreatest ? 'max' : 'min'}(a${value}) over pane as extreme${value}`).join('');
  const all = extremes.length === 0 ? `(${parts}) parts` : `(select *${found} from (${parts}) each_part window pane as (partition by pane_ms, key)) parts`;
  return `select pane_ms, key, ${merged.join(', ')} from ${all} group by pane_ms, key`;
}

/** Of a whole pane: it has lost a min or max, and rows are left whose min or max is not known (E15). Undefined: the set has none. */
export function hasLostExtreme(set: Accumulators, column: (place: number) => string): string | undefined {
  const each = extremesOf(set).map(({ rows, inputs }) => `${column(rows)} <= 0 and ${column(inputs)} <> 0`);
  return each.length === 0 ? undefined : `(${each.join(' or ')})`;
}
