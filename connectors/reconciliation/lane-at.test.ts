import { expect, test } from 'vitest';
import type { Clock } from '../../core/clock.ts';
import { position, type Position } from '../../core/position.ts';
import { laneAt } from './lane-at.ts';

const at = (lsn: number): Position => position(1, BigInt(lsn), 0);

/** Every pause is over at once; only its time has passed. `fences`: what the lane says, by the milliseconds that have passed. */
async function waited(fences: (ms: number) => Position | undefined): Promise<number> {
  let ms = 0;
  const clock: Clock = { now: () => ms, steady: () => ms, after: (delay, then) => ((ms += delay), queueMicrotask(then), () => {}), every: () => () => {} };
  await laneAt('rows', async () => fences(ms), at(100), { clock, signal: new AbortController().signal, onPhase: () => {} });
  return ms;
}

test('a lane is waited for until it is there', async () => {
  expect(await waited(() => at(100))).toBe(0);
  expect(await waited((ms) => at(ms < 29_000 ? 90 : 101))).toBe(29_000);
  // slow, but it moves
  expect(await waited((ms) => at(90 + Math.floor(ms / 20_000)))).toBe(200_000);
});

test('one that stands still, is too slow, or is being made anew is said', async () => {
  await expect(waited(() => at(90))).rejects.toThrow(`Lane rows stands still at ${at(90)}: it is paused, held or parked, or its destination is away. See ./sluice status.`);
  await expect(waited((ms) => position(1, 90n, Math.floor(ms / 1_000)))).rejects.toThrow(/^Lane rows is behind, at \S+: it did not come to the snapshot within 5 minutes\./);
  await expect(waited((ms) => (ms < 1_000 ? at(90) : undefined))).rejects.toThrow('Lane rows is not loaded, or is being made anew. See ./sluice status.');
});
