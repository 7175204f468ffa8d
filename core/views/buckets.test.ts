import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { distinctBucket } from './bucket-slots.ts';
import { entryText, quantileBucket, ranks } from './buckets.ts';

const integers = fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -1_000, max: 1_000 }), fc.nat({ max: 53 }).chain((digits) => fc.constantFrom(2 ** digits, 2 ** digits - 1, 2 ** digits + 1, -(2 ** digits)).filter((value) => Math.abs(value) <= 2 ** 53)));

describe('buckets of quantiles', () => {
  test('the number of a bucket is an integer, off by at most one part in 128, and below 128 it is the value', () => {
    fc.assert(
      fc.property(integers, (value) => {
        const bucket = quantileBucket(value);
        expect(Number.isInteger(bucket)).toBe(true);
        expect(Math.abs(bucket - value)).toBeLessThanOrEqual(Math.abs(value) < 128 ? 0 : Math.abs(value) / 128);
        // it is in its own bucket
        expect(quantileBucket(bucket)).toBe(bucket);
      }),
      { numRuns: 2_000 },
    );
  });

  test('greater values are never in lesser buckets, so a quantile of the buckets is the bucket of the quantile', () => {
    fc.assert(
      fc.property(integers, integers, (one, other) => {
        const [less, more] = one < other ? [one, other] : [other, one];
        expect(quantileBucket(less)).toBeLessThanOrEqual(quantileBucket(more));
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    [127, 127],
    [128, 129],
    [129, 129],
    [130, 131],
    [1_000, 1_004],
    [-1_000, -1_004],
    [2 ** 53, 2 ** 53 + 2 ** 46],
    [Number.NaN, Number.NaN],
  ])('%d is in the bucket of %d', (value, bucket) => {
    expect(quantileBucket(value)).toBe(bucket);
  });
});

describe('buckets of distinct values', () => {
  test.each([
    // printf a | sha256sum: ca9 78112ca1…
    ['a', 0xca9, 2],
    // e3b 0c44298f…
    ['', 0xe3b, 5],
  ])('%j is in register %d with rank %d', (text, register, rank) => {
    expect(distinctBucket(text)).toBe(register * ranks + rank);
  });
});

test('what has no value is in a bucket of its own, whatever its key', () => {
  expect([entryText(Number.NaN, 'a b'), entryText(-0, ''), entryText(-12, ' ')]).toEqual([' a b', '0 ', '-12  ']);
});
