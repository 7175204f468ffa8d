import { rankDigits, ranks, registers } from '../../core/views/buckets.ts';
import type { PaneSet, PaneView } from '../../core/views/panes.ts';
import { bucketMeasuresOf } from '../../core/views/results.ts';

/** What buckets-sql.ts tells of a window, in the order of bucketMeasuresOf, of a key's entries in its panes. */
export function toldBy(set: PaneSet, view: PaneView, entries: readonly (readonly [entry: string, values: readonly number[]])[]): readonly (number | null)[] {
  const measures = bucketMeasuresOf(view);
  if (measures.length === 0) return [];
  const count = set.accumulators.findIndex((each) => each.kind === 'count' && each.of === undefined);
  const rows = new Map<number, number>();
  for (const [entry, values] of entries) {
    const bucket = entry.slice(0, entry.indexOf(' '));
    if (bucket !== '') rows.set(Number(bucket), (rows.get(Number(bucket)) ?? 0) + values[count]!);
  }
  const buckets = [...rows].sort(([a], [b]) => a - b);
  return measures.map(({ measure }) => (measure.kind === 'quantile' ? quantile(buckets, measure.q) : estimate(greatestRanks(buckets))));
}

type Buckets = readonly (readonly [bucket: number, rows: number])[];

function quantile(buckets: Buckets, q: number): number | null {
  const needed = Math.max(1, Math.ceil(q * buckets.reduce((all, [, rows]) => all + rows, 0)));
  let reached = 0;
  return buckets.find(([, rows]) => (reached += rows) >= needed)?.[0] ?? null;
}

/** Of each register that some row has. */
function greatestRanks(buckets: Buckets): readonly number[] {
  const greatest = new Map<number, number>();
  for (const [bucket, rows] of buckets) {
    if (rows > 0) greatest.set(Math.floor(bucket / ranks), bucket % ranks);
  }
  return [...greatest.values()];
}

function estimate(found: readonly number[]): number {
  if (found.length === 0) return 0;
  const empty = (registers - found.length) / registers;
  const sigma = empty + Array.from({ length: 20 }, (_, index) => Math.exp(2 ** (index + 1) * Math.log(empty)) * 2 ** index).reduce((sum, each) => sum + each, 0);
  const parts = found.reduce((sum, rank) => sum + 2 ** (rankDigits + 1 - rank), 0);
  return Math.round(registers ** 2 / (2 * Math.LN2) / (registers * sigma + parts / 2 ** (rankDigits + 1)));
}
