import { describe, expect, test } from 'vitest';
import { InvalidFlag, parseLoadOptions } from './options.ts';

describe('the flags of ./sluice load', () => {
  test('are rates, percentages and times', () => {
    const flags = { pipeline: 'engagement', rate: '3333', burst: '100_000', updates: '3%', deletes: '1', late: '2.5%', duration: '5m' };
    expect(parseLoadOptions(flags)).toEqual({ pipeline: 'engagement', rate: 3333, burst: 100_000, updates: 0.03, deletes: 0.01, late: 0.025, durationMs: 300_000 });
  });

  test('may leave out everything but what to write', () => {
    expect(parseLoadOptions({ rate: '20' })).toEqual({ pipeline: undefined, rate: 20, burst: 0, updates: 0, deletes: 0, late: 0, durationMs: undefined });
    expect(parseLoadOptions({ rate: '0' }).rate).toBe(0);
  });

  test.each([
    [{ pipeline: 'nix', rate: '1' }, /no load for a pipeline nix.*engagement, trending/],
    [{}, /Neither --rate nor --burst/],
    [{ rate: '3x' }, /--rate 3x is not a number of events per second.*--rate 3333/],
    [{ rate: '-1' }, /--rate -1/],
    [{ rate: '' }, /--rate {2}is not/],
    [{ rate: '1', burst: 'many' }, /--burst many/],
    [{ rate: '1', updates: '101%' }, /--updates 101% is not a percentage from 0% to 100%.*--updates 3%/],
    [{ rate: '1', late: '3 percent' }, /--late 3 percent/],
    [{ rate: '1', deletes: '-1%' }, /--deletes -1%/],
    [{ rate: '1', updates: '60%', deletes: '40%' }, /more than 90% together/],
    [{ rate: '1', duration: 'soon' }, /--duration soon is not a time.*60s/],
    [{ rate: '1', duration: '0s' }, /--duration 0s/],
  ])('%j is refused', (flags, sentence) => {
    expect(() => parseLoadOptions(flags)).toThrow(InvalidFlag);
    expect(() => parseLoadOptions(flags)).toThrow(sentence);
  });
});
