import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stepWindow, windowText } from './step-window.ts';

const now = Date.parse('2026-11-21T12:00:13.700Z');

describe('E27: steps are aligned to the clock', () => {
  test('a window is the cell of the grid that the step begins in', () => {
    expect(windowText(stepWindow(now, 10_000))).toBe('12:00:10-12:00:20');
    expect(windowText(stepWindow(now, 500))).toBe('12:00:13.500-12:00:14');
  });

  test('what is left of a cell that is nearly over belongs to the next one', () => {
    expect(windowText(stepWindow(Date.parse('2026-11-21T12:00:18.500Z'), 10_000))).toBe('12:00:20-12:00:30');
  });

  test('a step always ends on the grid, after at least a fifth of a cell and at most one and a fifth', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), fc.constantFrom(200, 1_000, 10_000, 300_000), (nowMs, stepMs) => {
        const { startMs, endMs } = stepWindow(nowMs, stepMs);
        expect(endMs % stepMs).toBe(0);
        expect(endMs - startMs).toBe(stepMs);
        expect(endMs - nowMs).toBeGreaterThanOrEqual(stepMs / 5);
        expect(endMs - nowMs).toBeLessThanOrEqual(stepMs * 1.2);
      }),
    );
  });
});
