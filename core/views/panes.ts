import type { Expression } from '../expressions/expression.ts';
import type { Measure, Window } from '../pipeline.ts';

/**
 * Views with the same key, filter and pane length share their panes: a pane set holds the union of their accumulators.
 * Made by paneSetsOf (pane-sets.ts).
 */
export type PaneSet = {
  /** The name of its first view. */
  readonly name: string;
  readonly key: string;
  readonly where: Expression | undefined;
  readonly paneMs: number;
  readonly accumulators: readonly Accumulator[];
  readonly views: readonly PaneView[];
};

/**
 * One signed 64-bit integer a pane and key: a count of rows, or a sum of round(value * 10^scale). A count with `of` is
 * an average's: of the rows that its sum takes, so `of` is looked at with the sum's scale.
 */
export type Accumulator =
  | { readonly name: string; readonly kind: 'count'; readonly scale: 0; readonly of: undefined }
  | { readonly name: string; readonly kind: 'count'; readonly scale: 0; readonly of: Expression; readonly ofScale: number }
  | { readonly name: string; readonly kind: 'sum'; readonly scale: number; readonly of: Expression };

/** A set as it is kept in the state database, with its views' names: those may be others than the definition alone would group. */
export type KeptPaneSet = Omit<PaneSet, 'views'> & { readonly views: readonly string[] };

export type PaneView = {
  readonly name: string;
  readonly window: Window;
  /** Which accumulators each measure of the view is made of, by place in PaneSet.accumulators. */
  readonly measures: Readonly<Record<string, { readonly measure: Measure; readonly accumulators: readonly number[] }>>;
  readonly rankBy: string;
  readonly top: number;
};

/** What a run of events changes in the panes: one entry a touched (pane, key); entries whose values are all 0 are left out. */
export type PaneDeltas = {
  readonly count: number;
  /** Pane starts, milliseconds since 1970. */
  readonly panes: Float64Array;
  /** Keys as Postgres text. */
  readonly keys: readonly string[];
  /** One array an accumulator of the set; exact integers below 2^53. */
  readonly values: readonly Float64Array[];
};

/** Those entries whose panes are wanted. */
export function someDeltas({ count, panes, keys, values }: PaneDeltas, wanted: (pane: number) => boolean): PaneDeltas {
  const places = Array.from({ length: count }, (_, place) => place).filter((place) => wanted(panes[place]!));
  return { count: places.length, panes: Float64Array.from(places, (place) => panes[place]!), keys: places.map((place) => keys[place]!), values: values.map((each) => Float64Array.from(places, (place) => each[place]!)) };
}
