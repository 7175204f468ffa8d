import type { Expression } from '../expressions/expression.ts';
import type { Measure } from '../pipeline.ts';

/**
 * By what value the panes of a set are divided: each key has an entry for each bucket of that value that some row is in, and
 * entries are counts and sums like others. So a row is taken out of its bucket exactly, and no quantile and no number of distinct
 * values is ever lost (decision 22). A row without a value is in a bucket of its own, which has no number.
 *
 * quantile: a bucket is all scaled integers whose seven most significant binary digits are the same, and its number is the integer in
 * its middle; below 128 it is the value itself. distinct: a bucket is a register of a HyperLogLog sketch with the rank that the value has there.
 */
export type Buckets =
  | { readonly kind: 'quantile'; readonly of: Expression; readonly scale: number }
  | { readonly kind: 'distinct'; readonly of: Expression };

export type BucketMeasure = Extract<Measure, { kind: Buckets['kind'] }>;

export function isOfBuckets(measure: Measure): measure is BucketMeasure {
  return measure.kind === 'quantile' || measure.kind === 'distinct';
}

/** By what a measure has to have its panes divided. */
export function bucketsOf(measure: Measure): Buckets | undefined {
  switch (measure.kind) {
    case 'quantile':
      return { kind: 'quantile', of: measure.of, scale: measure.scale };
    case 'distinct':
      return { kind: 'distinct', of: measure.of };
    default:
      return undefined;
  }
}

/** Binary digits of a value that its bucket keeps, behind the first. The middle is off by at most one part in 2^(quantileDigits + 1). */
export const quantileDigits = 6;

/** The integer in the middle of the bucket that an integer up to 2^53 in magnitude is in; of NaN NaN. Greater integers are never in lesser buckets. */
export function quantileBucket(value: number): number {
  if (!(Math.abs(value) >= 2 ** (quantileDigits + 1))) return value;
  double[0] = value;
  // the digits of a double begin behind its first: 20 of them are in the high word, and what an integer lacks of 52 is zeros
  words[1] = (words[1]! & (-1 << (20 - quantileDigits))) | (1 << (19 - quantileDigits));
  words[0] = 0;
  return double[0];
}

const double = new Float64Array(1);
/** Little-endian, as every machine that runs this is. */
const words = new Int32Array(double.buffer);

/** 2^12: the standard error of a number of distinct values is 1.04 / √4096, which is 1.6 %. */
export const registers = 4096;
/** A bucket of distinct values is register * ranks + rank, the rank from 1 on. */
export const ranks = 64;
/** Binary digits of a hash, behind the 12 of the register, that tell the rank: the place of the first 1, or one more if there is none. */
export const rankDigits = 32;

/** What an entry of a divided set is kept under, in the place of its key. NaN: no value. */
export function entryText(bucket: number, key: string): string {
  return `${Number.isNaN(bucket) ? '' : bucket} ${key}`;
}
