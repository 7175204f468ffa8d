import { expect, test } from 'vitest';
import { slotLagLimit } from './slot-lag-limit.ts';

test('E7: the spool takes over before the source loses the slot', () => {
  expect(slotLagLimit(1000, undefined)).toBe(1000);
  expect(slotLagLimit(1000, 8000)).toBe(1000);
  expect(slotLagLimit(1000, 1200)).toBe(600);
});
