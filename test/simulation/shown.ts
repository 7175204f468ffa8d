import { distinctBucket, distinctOf, quantileBucket, quantileOf, type Buckets } from './buckets.ts';
import { divisions, type DividedView, type PublishedView } from './pipeline.ts';

/** `values`: how many rows have each value of points, those that came less those that went; also of values that none has any more. */
export type Sums = { count: number; points: number; readonly values: Map<number, number> };

/** What windows take of a pane. `buckets`: if its set is divided. */
export type Shown = { readonly count: number; readonly points: number; readonly inputs: number; readonly high: number | null; readonly low: number | null; readonly buckets: Buckets };

/** Of a key. */
export type ShownPane = { readonly pane: number; readonly key: string; readonly shown: Shown };

/** By pane and key. */
export function shownPanes(set: PublishedView['set'], panes: ReadonlyMap<string, Sums>): readonly ShownPane[] {
  return [...panes].map(([entry, sums]) => ({ ...placeOf(entry), shown: shownOf(set, sums) }));
}

/** Of `pane key`. */
export function placeOf(entry: string): Omit<ShownPane, 'shown'> {
  const end = entry.indexOf(' ');
  return { pane: Number(entry.slice(0, end)), key: entry.slice(end + 1) };
}

/** Before anything is computed anew: the least and the greatest that ever came, however many of them are gone; nothing if all are (E15). */
function shownOf(set: PublishedView['set'], sums: Sums): Shown {
  const { count, points, values } = sums;
  const inputs = inputsOf(sums);
  const isEmpty = set !== 'tumble' || inputs === 0;
  return { count, points, inputs, high: isEmpty ? null : Math.max(...values.keys()), low: isEmpty ? null : Math.min(...values.keys()), buckets: set === 'tumble' ? noBuckets : bucketsOf(set, sums) };
}

const noBuckets: Buckets = new Map();

/** How many rows have a value. */
export function inputsOf({ values }: Sums): number {
  let inputs = 0;
  for (const rows of values.values()) inputs += rows;
  return inputs;
}

/** Rows by the bucket that they are in. */
export function bucketsOf(set: DividedView, sums: Sums): Buckets {
  const buckets = new Map<number | null, number>([[null, sums.count - inputsOf(sums)]]);
  for (const [points, rows] of sums.values) {
    const bucket = bucketOf(set, points);
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + rows);
  }
  return buckets;
}

export function bucketOf(set: DividedView, points: number): number {
  const known = knownBuckets[set];
  let bucket = known.get(points);
  if (bucket === undefined) known.set(points, (bucket = divisions[set] === 'quantile' ? quantileBucket(points) : distinctBucket(points)));
  return bucket;
}

const knownBuckets: Readonly<Record<DividedView, Map<number, number>>> = { spread: new Map(), variety: new Map() };

type Measure = PublishedView['measures'][number];
type Ranked = Pick<PublishedView, 'sizeMs' | 'top'> & { readonly rankBy: Measure; readonly measures: readonly Measure[] };

/** The result of a window of a published view, by the panes of its set. */
export function resultOf(panes: readonly ShownPane[], end: number, { sizeMs, rankBy, measures, top }: Ranked) {
  const keys = new Map<string, Shown>();
  for (const { pane, key, shown } of panes) if (pane >= end - sizeMs && pane < end) keys.set(key, together(keys.get(key), shown));
  return [...keys]
    .filter(([, shown]) => measures.some((measure) => isThere(shown, measure)))
    .map(([key, shown]) => ({ key, shown, rank: measured(shown, rankBy) ?? Number.NEGATIVE_INFINITY }))
    .sort((a, b) => b.rank - a.rank || Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
    .slice(0, top)
    .map(({ key, shown }, index) => ({ rank: index + 1, key, measures: Object.fromEntries(measures.map((measure) => [measure, measuredText(shown, measure)])) }));
}

function together(one: Shown | undefined, other: Shown): Shown {
  if (!one) return other;
  const both = (of: (...values: number[]) => number, a: number | null, b: number | null) => (a === null || b === null ? (a ?? b) : of(a, b));
  return {
    count: one.count + other.count,
    points: one.points + other.points,
    inputs: one.inputs + other.inputs,
    high: both(Math.max, one.high, other.high),
    low: both(Math.min, one.low, other.low),
    buckets: togetherBuckets(one.buckets, other.buckets),
  };
}

function togetherBuckets(one: Buckets, other: Buckets): Buckets {
  if (one.size === 0 || other.size === 0) return one.size === 0 ? other : one;
  const both = new Map(one);
  for (const [bucket, rows] of other) both.set(bucket, (both.get(bucket) ?? 0) + rows);
  return both;
}

/** A key is in a result as long as something is left of what one of its measures is made of. */
function isThere({ count, points, inputs }: Shown, measure: Measure): boolean {
  if (measure === 'points') return points !== 0;
  return measure === 'high' || measure === 'low' ? inputs !== 0 : count !== 0;
}

function measured(shown: Shown, measure: Measure): number | null {
  switch (measure) {
    case 'views':
      return shown.count;
    case 'half':
      return quantileOf(shown.buckets, 0.5);
    case 'most':
      return quantileOf(shown.buckets, 0.75);
    case 'kinds':
      return distinctOf(shown.buckets);
    default:
      return shown[measure];
  }
}

function measuredText(shown: Shown, measure: Measure): string | null {
  const value = measured(shown, measure);
  if (value === null) return null;
  return String(measure === 'half' || measure === 'most' ? value / 100 : value);
}
