import { expect, test, vi } from 'vitest';
import { Poller } from './poller.ts';

test('one reading serves all listeners, and a late one gets the newest at once', async () => {
  let reads = 0;
  const poller = new Poller(async () => ++reads, 1);
  const first: number[] = [];
  const stopFirst = poller.subscribe((value) => first.push(value));
  await vi.waitFor(() => expect(first.length).toBeGreaterThan(2));
  const second: number[] = [];
  const stopSecond = poller.subscribe((value) => second.push(value));
  expect(second).toEqual([first.at(-1)]);
  await vi.waitFor(() => expect(second.length).toBeGreaterThan(2));
  stopFirst();
  stopSecond();
  expect(reads).toBe(first.length);
});

test('nothing is read while nobody listens, and it begins again', async () => {
  let reads = 0;
  const poller = new Poller(async () => ++reads, 1);
  expect(reads).toBe(0);
  await new Promise<void>((resolve) => {
    const stop = poller.subscribe((value) => {
      if (value < 3) return;
      stop();
      resolve();
    });
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(reads).toBe(3);
  const again = await new Promise<number>((resolve) => {
    const stop = poller.subscribe((value) => {
      stop();
      resolve(value);
    });
  });
  expect(again).toBe(4);
});
