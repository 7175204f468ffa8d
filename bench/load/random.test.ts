import { describe, expect, test } from 'vitest';
import { Random } from './random.ts';

describe('random numbers', () => {
  test('are the same for the same seed', () => {
    const draw = (seed: number) => {
      const random = new Random(seed);
      return Array.from({ length: 5 }, () => random.word());
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  test('by Zipf have a few that come most of the time, and leave none out', () => {
    const random = new Random(1);
    const counts = Array.from({ length: 1_000 }, () => 0);
    for (let draw = 0; draw < 200_000; draw++) counts[random.zipf(1_000)]! += 1;
    const share = (from: number, to: number) => counts.slice(from, to).reduce((sum, count) => sum + count, 0) / 200_000;
    // index k has ln((k + 2) / (k + 1)) / ln(1001)
    expect(share(0, 1)).toBeCloseTo(Math.log(2) / Math.log(1_001), 2);
    expect(share(0, 10)).toBeCloseTo(Math.log(11) / Math.log(1_001), 2);
    expect(share(500, 1_000)).toBeCloseTo(Math.log(1_001 / 501) / Math.log(1_001), 2);
    expect(counts.every((count) => count > 0)).toBe(true);
  });
});
