import { expect, test } from 'vitest';
import { Tally } from './tally.ts';

test('a part of the events shows in the tally however many have come, and passes when it is over', () => {
  const tally = new Tally();
  const part = () => tally.kept / (tally.passed + tally.kept);
  for (let event = 0; event < 200_000; event++) if (event % 25 === 0) tally.keep(); else tally.pass(1);
  expect(part()).toBeCloseTo(0.04, 2);
  tally.pass(15_000);
  for (let event = 0; event < 100_000; event++) tally.pass(1);
  expect(part()).toBeLessThan(0.001);
  tally.forget();
  expect([tally.passed, tally.kept]).toEqual([0, 0]);
});
