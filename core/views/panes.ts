import type { Expression } from '../expressions/expression.ts';
import type { Measure, Window } from '../pipeline.ts';
import type { Buckets } from './buckets.ts';
import type { PaneRange } from './fold.ts';

/**
 * Views with the same key, filter, pane length and buckets share their panes: a pane set holds the union of their accumulators.
 * Made by paneSetsOf (pane-sets.ts).
 */
export type PaneSet = {
  /** The name of its first view. */
  readonly name: string;
  readonly key: string;
  readonly where: Expression | undefined;
  readonly paneMs: number;
  /** What its panes are divided by beside the key, whose place in them is then taken by entryText (buckets.ts); missing: nothing. */
  readonly buckets?: Buckets;
  readonly accumulators: readonly Accumulator[];
  readonly views: readonly PaneView[];
};

/**
 * One signed 64-bit integer a pane and key: a count of rows, or a sum of round(value * 10^scale). A count with `of` is
 * an average's, or an extreme's: of the rows that have a value, so `of` is looked at with that one's scale.
 *
 * An extreme (min, max) is of all values that came or went, and NULL before the first: beside it, `rows` counts how many rows
 * have exactly that value, those that came less those that went. So parts of a pane can be merged in any order, like sums.
 * While there is such a row it is the pane's min or max; if there is none any more, others may be left (`inputs` counts them),
 * and only the source knows the next one (E15).
 */
export type Accumulator =
  | { readonly name: string; readonly kind: 'count'; readonly scale: 0; readonly of: undefined }
  | { readonly name: string; readonly kind: 'count'; readonly scale: 0; readonly of: Expression; readonly ofScale: number }
  | { readonly name: string; readonly kind: 'sum'; readonly scale: number; readonly of: Expression }
  /** `rows`, `inputs`: places of accumulators. */
  | { readonly name: string; readonly kind: 'min' | 'max'; readonly scale: number; readonly of: Expression; readonly rows: number; readonly inputs: number }
  /** Of the extreme at that place. */
  | { readonly name: string; readonly kind: 'rows'; readonly scale: 0; readonly extreme: number };

/** A set as it is kept in the state database, with its views' names: those may be others than the definition alone would group. */
export type KeptPaneSet = Omit<PaneSet, 'views'> & { readonly views: readonly string[] };

export type PaneView = {
  readonly name: string;
  readonly window: Window;
  /** Which accumulators each measure of the view is made of, by place in PaneSet.accumulators; of buckets: the one that counts their rows. */
  readonly measures: Readonly<Record<string, { readonly measure: Measure; readonly accumulators: readonly number[] }>>;
  readonly rankBy: string;
  readonly top: number;
};

/** What a run of events changes in the panes: one entry a touched (pane, key); entries whose values are all 0, and that have no extremes, are left out. */
export type PaneDeltas = {
  readonly count: number;
  /** Pane starts, milliseconds since 1970. */
  readonly panes: Float64Array;
  /** Keys as Postgres text; of a set with buckets, entries. */
  readonly keys: readonly string[];
  /** One array an accumulator of the set; exact integers below 2^53. NaN: an extreme of nothing. */
  readonly values: readonly Float64Array[];
};

/** Those entries whose panes are wanted. */
export function someDeltas(deltas: PaneDeltas, wanted: (pane: number) => boolean): PaneDeltas {
  const { count, panes } = deltas;
  return entriesAt(deltas, Array.from({ length: count }, (_, place) => place).filter((place) => wanted(panes[place]!)));
}

/** As someDeltas of a range of panes, for whoever takes many of them out of the same: not all entries are gone over each time. */
export function deltasByPane(deltas: PaneDeltas): (range: PaneRange) => PaneDeltas {
  const places = new Map<number, number[]>();
  for (let place = 0; place < deltas.count; place++) {
    const pane = deltas.panes[place]!;
    const own = places.get(pane);
    if (own) own.push(place);
    else places.set(pane, [place]);
  }
  return ({ fromMs, toMs }) => entriesAt(deltas, [...places].flatMap(([pane, own]) => (pane >= fromMs && pane < toMs ? own : [])));
}

function entriesAt({ panes, keys, values }: PaneDeltas, places: readonly number[]): PaneDeltas {
  return { count: places.length, panes: Float64Array.from(places, (place) => panes[place]!), keys: places.map((place) => keys[place]!), values: values.map((each) => Float64Array.from(places, (place) => each[place]!)) };
}
