import type { Accumulator, PaneSet } from './panes.ts';

/** A min or max of a pane set, and by place in it what belongs to it. */
export type Extreme = { readonly value: number; readonly rows: number; readonly inputs: number; readonly isGreatest: boolean };

export function extremesOf({ accumulators }: Pick<PaneSet, 'accumulators'>): readonly Extreme[] {
  return accumulators.flatMap((accumulator, value) => (isExtreme(accumulator) ? [{ value, rows: accumulator.rows, inputs: accumulator.inputs, isGreatest: accumulator.kind === 'max' }] : []));
}

/** The places of those that add up. */
export function sumsOf({ accumulators }: Pick<PaneSet, 'accumulators'>): readonly number[] {
  return accumulators.flatMap(({ kind }, place) => (kind === 'count' || kind === 'sum' ? [place] : []));
}

export function isExtreme(accumulator: Accumulator): accumulator is Extract<Accumulator, { kind: 'min' | 'max' }> {
  return accumulator.kind === 'min' || accumulator.kind === 'max';
}

/** `count` rows of a value come to an entry, or leave it if that is negative; NaN, the extreme of nothing, gives way to every value. */
export function touch(values: Float64Array, rows: Float64Array, entry: number, value: number, count: number, isGreatest: boolean): void {
  const before = values[entry]!;
  if (value === before) rows[entry]! += count;
  else if (isGreatest ? !(value < before) : !(value > before)) {
    values[entry] = value;
    rows[entry] = count;
  }
}
