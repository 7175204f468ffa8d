import type { Measure } from '../pipeline.ts';
import { isOfBuckets, type BucketMeasure } from './buckets.ts';
import type { PaneSet, PaneView } from './panes.ts';

/** Digits behind the point that averages and rates have more than their sums. */
export const ratioDigits = 6;

/**
 * The measures of a view as decimal text, out of its accumulators' sums and extremes over a window (decimal texts of integers), and
 * out of what its buckets tell, in the order of bucketMeasuresOf. null: a min, max or quantile of nothing.
 */
export function measuresOf(set: PaneSet, view: PaneView, sums: readonly (string | null)[], told: readonly (string | null)[] = []): Readonly<Record<string, string | null>> {
  const ofBuckets = bucketMeasuresOf(view);
  const measures = Object.entries(view.measures).map(([name, { measure, accumulators }]) => {
    if (isOfBuckets(measure)) {
      const own = told[ofBuckets.findIndex((each) => each.name === name)] ?? null;
      return [name, own === null || measure.kind === 'distinct' ? own : decimal(BigInt(own), measure.scale)] as const;
    }
    const first = sums[accumulators[0]!] ?? null;
    if (measure.kind === 'min' || measure.kind === 'max') return [name, first === null ? null : decimal(BigInt(first), measure.scale)] as const;
    const sum = BigInt(first!);
    switch (measure.kind) {
      case 'count':
        return [name, String(sum)] as const;
      case 'sum':
        return [name, decimal(sum, measure.scale)] as const;
      case 'avg':
        return [name, ratio(sum, BigInt(sums[accumulators[1]!]!), measure.scale)] as const;
      case 'rate':
        return [name, ratio(sum * 1000n, BigInt(view.window.sizeMs), 0)] as const;
    }
  });
  return Object.fromEntries(measures);
}

/** Nothing is not 0 there. */
export function canBeNull({ kind }: Measure): boolean {
  return kind === 'min' || kind === 'max' || kind === 'quantile';
}

/** Its value is a whole number. */
export function isWhole(measure: Measure): boolean {
  return measure.kind === 'count' || measure.kind === 'distinct' || ('scale' in measure && measure.kind !== 'avg' && measure.scale === 0);
}

/** The measures of a view that are told by buckets. */
export function bucketMeasuresOf({ measures }: PaneView): readonly { readonly name: string; readonly measure: BucketMeasure }[] {
  return Object.entries(measures).flatMap(([name, { measure }]) => (isOfBuckets(measure) ? [{ name, measure }] : []));
}

/** The accumulators that a view shows something of, by place in its set. */
export function accumulatorsOf(view: PaneView): readonly number[] {
  return places(view, ({ measure, accumulators }) => (isOfBuckets(measure) ? [] : isExtremeOf(measure) ? [accumulators[0]!] : accumulators));
}

/** Those that say whether a key is there: one whose are all 0 is not in the result. An extreme is there if rows with a value are, what buckets tell if rows are. */
export function presenceOf(view: PaneView): readonly number[] {
  return places(view, ({ measure, accumulators }) => (isExtremeOf(measure) ? [accumulators[2]!] : accumulators));
}

type OfView = PaneView['measures'][string];

function places({ measures }: PaneView, of: (each: OfView) => readonly number[]): readonly number[] {
  return [...new Set(Object.values(measures).flatMap(of))].sort((a, b) => a - b);
}

function isExtremeOf({ kind }: Measure): boolean {
  return kind === 'min' || kind === 'max';
}

/** An integer times 10^-scale, without zeros at the end: (124, 1) is '12.4'. */
export function decimal(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  const fraction = scale === 0 ? '' : digits.slice(-scale).replace(/0+$/, '');
  const whole = scale === 0 ? digits : digits.slice(0, -scale);
  return `${value < 0n ? '-' : ''}${whole}${fraction && `.${fraction}`}`;
}

/** sum / (10^scale * count), rounded half away from zero; of nothing it is 0. */
function ratio(sum: bigint, count: bigint, scale: number): string {
  if (count === 0n) return '0';
  const negative = sum < 0n !== count < 0n;
  const numerator = (sum < 0n ? -sum : sum) * 10n ** BigInt(ratioDigits);
  const denominator = count < 0n ? -count : count;
  const rounded = (2n * numerator + denominator) / (2n * denominator);
  return decimal(negative ? -rounded : rounded, scale + ratioDigits);
}
