import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Window } from '../../core/pipeline.ts';
import { openWindows } from './open-windows.ts';

const tumbling: Window = { kind: 'tumbling', sizeMs: 10_000, everyMs: 10_000 };
const hopping: Window = { kind: 'hopping', sizeMs: 60_000, everyMs: 10_000 };

test.each([
  ['in the middle of a window', tumbling, 105_000, 1, 110_000],
  ['the next one began before this one is computed', tumbling, 108_500, 2, 110_000],
  ['exactly at an end', tumbling, 110_000, 1, 120_000],
  ['hopping: as many as overlap', hopping, 105_000, 6, 110_000],
])('%s', (_, window, watermarkMs, count, nextEndMs) => {
  expect(openWindows(window, watermarkMs, 2_000)).toEqual({ count, nextEndMs });
});

test('it counts the windows that contain the clock, or ended before it and after the watermark', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 200 }),
      fc.integer({ min: 0, max: 30 }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 6 }),
      (watermark, delay, every, panes) => {
        const sizeMs = every * panes;
        const ends = Array.from({ length: 400 }, (_unused, index) => index * every).filter(
          (end) => end > watermark && end - sizeMs <= watermark + delay,
        );
        const { count, nextEndMs } = openWindows({ kind: 'hopping', sizeMs, everyMs: every }, watermark, delay);
        expect({ count, nextEndMs }).toEqual({ count: ends.length, nextEndMs: ends[0] });
      },
    ),
  );
});
