import { expect, test } from 'vitest';
import { lagSeconds } from './metrics.ts';

const now = 1_000_000;

test.each([
  ['of a part that never applied anything is not known', { active: true, lagMs: undefined, commitTimeMs: undefined }, undefined],
  ['of a step that runs is what its newest transaction took', { active: true, lagMs: 400, commitTimeMs: now - 90_000 }, 0.4],
  ['grows once no step runs', { active: false, lagMs: 400, commitTimeMs: now - 300_000 }, 300],
  ['is no less than it was when the step ended', { active: false, lagMs: 5_000, commitTimeMs: now - 2_000 }, 5],
])('the lag %s', (_, part, seconds) => {
  expect(lagSeconds(part, now)).toBe(seconds);
});
