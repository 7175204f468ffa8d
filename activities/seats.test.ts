import { expect, test } from 'vitest';
import { Seats } from './seats.ts';

test('a newer attempt tells the older one to leave, and begins when it has left', async () => {
  const seats = new Seats();
  const told: string[] = [];
  const leaveFirst = await seats.take('lane', () => told.push('first'));
  const second = seats.take('lane', () => told.push('second'));
  const third = seats.take('lane', () => told.push('third'));
  const other = await seats.take('other', () => told.push('other'));
  let begun = 0;
  void second.then(() => begun++);
  void third.then(() => begun++);
  await Promise.resolve();
  expect([told, begun]).toEqual([['first', 'first'], 0]);
  leaveFirst();
  (await second)();
  (await third)();
  other();
  expect(begun).toBe(2);
});
