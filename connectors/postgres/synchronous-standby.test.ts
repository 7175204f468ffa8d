import { describe, expect, test } from 'vitest';
import { assertNotSynchronous } from './synchronous-standby.ts';

describe('E7: commits of the source must not wait for us', () => {
  test.each(['*', 'FIRST 1 (one, *)', 'ANY 2 (a, "sluice Orders capture")', '"SLUICE orders CAPTURE"'])('%s is refused', (names) => {
    expect(() => assertNotSynchronous('orders', names)).toThrow(/every commit there would wait for this pipeline's sinks.*ALTER SYSTEM SET synchronous_standby_names/);
  });

  test.each(['', 'one, two', 'FIRST 1 (sluice, orders, capture)', '"sluice other capture"', 'ANY 1 ("a*", "b ""*""")'])('%s is let be', (names) => {
    expect(() => assertNotSynchronous('orders', names)).not.toThrow();
  });
});
