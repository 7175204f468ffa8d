import { describe, expect, test } from 'vitest';
import { captureStepMsOf, heartbeatMsOf, isToldToStop, stepMsOf } from './heartbeat.ts';

describe('E26: the heartbeat', () => {
  test.each([
    [undefined, '1s', 1_000],
    [undefined, '10s', 10_000],
    [1_000, '10s', 1_000],
    [30_000, '1s', 30_000],
  ] as const)('of a pipeline whose own is %s, where the instance has %s, is %i ms', (heartbeatMs, instance, ms) => {
    expect(heartbeatMsOf({ heartbeatMs }, instance)).toBe(ms);
  });

  test('is soon enough by itself at a second, and not at ten', () => {
    expect(isToldToStop(1_000)).toBe(false);
    expect(isToldToStop(10_000)).toBe(true);
  });

  test.each([
    [10_000, 1_000, 10_000],
    [10_000, 10_000, 60_000],
    [300_000, 10_000, 300_000],
  ])('a step of %i ms, with a beat each %i ms, lasts %i ms', (stepMs, heartbeatMs, lasts) => {
    expect(stepMsOf({ stepMs }, heartbeatMs)).toBe(lasts);
  });

  test.each([
    [1_000, 30_000],
    [10_000, 300_000],
    [60_000, 300_000],
    [600_000, 600_000],
  ])('where a lane has steps of %i ms, a capture has steps of %i ms', (stepMs, lasts) => {
    expect(captureStepMsOf(stepMs)).toBe(lasts);
  });
});
