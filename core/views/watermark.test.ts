import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boundsAt, nextChange, noClock } from './watermark.ts';

const settings = { watermarkDelayMs: 2_000, allowedLatenessMs: 10_000 };
const at = (seconds: number, loaded = noClock) => boundsAt({ clock: seconds * 1e6, loaded: loaded * 1e6 }, 10_000, settings);

describe('watermark', () => {
  test.each([
    [11.999999, 0, -10_000],
    [12, 10_000, 0],
    [21.999999, 10_000, 0],
    [22, 20_000, 10_000],
    [-0.000001, -10_000, -20_000],
  ])('E13: at clock %d s windows up to %d ms are closed, panes before %d ms for good', (clock, closesUpToMs, closedBeforeMs) => {
    expect(at(clock)).toEqual({ closesUpToMs, closedBeforeMs });
  });

  test('without a clock nothing is closed', () => {
    expect(at(noClock)).toEqual({ closesUpToMs: Number.NEGATIVE_INFINITY, closedBeforeMs: Number.NEGATIVE_INFINITY });
    expect(nextChange(noClock, 10_000, settings)).toBe(noClock);
  });

  test('E28: what the first load passed is closed for good, whatever the lateness', () => {
    expect(at(12, 12)).toEqual({ closesUpToMs: 10_000, closedBeforeMs: 10_000 });
    expect(at(50, 12)).toEqual(at(50));
  });

  test('I6: bounds stand still up to the next change, and change there', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e14, max: 4e15 }), fc.integer({ min: 1, max: 86_400_000 }), fc.nat(100_000), fc.nat(100_000), (clock, paneMs, watermarkDelayMs, allowedLatenessMs) => {
        const own = { watermarkDelayMs, allowedLatenessMs };
        const bounds = (us: number) => boundsAt({ clock: us, loaded: noClock }, paneMs, own);
        const next = nextChange(clock, paneMs, own);
        expect(next).toBeGreaterThan(clock);
        expect(bounds(next - 1)).toEqual(bounds(clock));
        expect(bounds(next)).not.toEqual(bounds(clock));
      }),
    );
  });
});
