import { expect, test } from 'vitest';
import { ApplyLimit } from './apply-limit.ts';

/** What a destination gets of a long backlog if an event takes it so many microseconds, and how long each apply took. */
function applies(limit: ApplyLimit, perEventUs: number, count: number): { events: number[]; ms: number[] } {
  const events = Array.from({ length: count }, () => {
    const each = limit.events;
    limit.applied(each, (each * perEventUs) / 1000);
    return each;
  });
  return { events, ms: events.map((each) => (each * perEventUs) / 1000) };
}

test('an apply takes about as long as it may, whether events are cheap or become dear', () => {
  const limit = new ApplyLimit(250);
  expect(applies(limit, 1, 4).events).toEqual([20_000, 80_000, 250_000, 250_000]);
  const dear = applies(limit, 20, 3);
  expect(dear.ms.slice(1)).toEqual([250, 250]);
  expect(dear.events.slice(1)).toEqual([12_500, 12_500]);
});

test('what a few events took says little: they make it smaller only if they were too slow', () => {
  const limit = new ApplyLimit(250);
  limit.applied(10, 40);
  expect(limit.events).toBe(20_000);
  limit.applied(10, 251);
  expect(limit.events).toBe(1_000);
  limit.applied(1_000, 0);
  expect(limit.events).toBe(4_000);
});
