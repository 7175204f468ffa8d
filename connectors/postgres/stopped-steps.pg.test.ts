import { expect, test } from 'vitest';
import { stateBehindProxy } from '../../test/embedded/state-behind-proxy.ts';
import { Listener } from './state/listener.ts';
import { readStopped, recordStopped, stoppedChannel } from './stopped-steps.ts';

class Bell {
  #rings = 0;
  #next = Promise.withResolvers<void>();

  ring(): void {
    this.#rings++;
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }

  /** So many times in all. */
  async rung(times: number): Promise<void> {
    while (this.#rings < times) await this.#next.promise;
  }
}

/** A state database that is written directly, and listened to on a way that can be cut. */
async function open(askMs?: number) {
  await using stack = new AsyncDisposableStack();
  const { state, url, way } = await stateBehindProxy(stack);
  const bell = new Bell();
  const listener = new Listener(url, { [stoppedChannel]: () => bell.ring() }, askMs);
  stack.defer(() => listener.close());
  await bell.rung(1);
  const owned = stack.move();
  return { state, listener, way, bell, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test('E26: of each part of a run the newest stopped step is kept, whoever comes late with less', async () => {
  await using place = await open();
  const { state, listener, bell } = place;
  await recordStopped(state, 'first', { capture: 1, aggregate: 2 });
  await recordStopped(state, 'first', { capture: 5 });
  await recordStopped(state, 'second', { capture: 1 });
  await recordStopped(state, 'first', { capture: 1, aggregate: 2 });
  await bell.rung(5);
  expect((await readStopped(listener, ['first'])).toSorted((a, b) => a.number - b.number)).toEqual([
    { run: 'first', part: 'aggregate', number: 2 },
    { run: 'first', part: 'capture', number: 5 },
  ]);
  expect(await readStopped(listener, ['second', 'third'])).toEqual([{ run: 'second', part: 'capture', number: 1 }]);
  await state.query(`update sluice.stopped_step set stopped_at = now() - interval '25 hours'`);
  await recordStopped(state, 'first', { aggregate: 7 });
  const { rows } = await state.query('select run, part, number from sluice.stopped_step order by part');
  expect(rows).toEqual([{ run: 'first', part: 'aggregate', number: 7 }, { run: 'first', part: 'capture', number: 5 }]);
});

test('E26: whoever listens is rung when a connection that was cut is there again, and reads what it missed', async () => {
  await using place = await open();
  const { state, listener, way, bell } = place;
  way.down();
  await recordStopped(state, 'run', { capture: 3 });
  await expect(readStopped(listener, ['run'])).rejects.toThrow(/connection|ECONNRESET/i);
  way.set({ tag: 'pass' });
  await bell.rung(2);
  expect(await readStopped(listener, ['run'])).toEqual([{ run: 'run', part: 'capture', number: 3 }]);
});

test('E26: a connection whose end nobody told is given up when it does not answer, and another one takes its place', async () => {
  await using place = await open();
  const { state, listener, way, bell } = place;
  way.set({ tag: 'swallow' });
  await recordStopped(state, 'run', { capture: 3 });
  await expect(readStopped(listener, ['run'])).rejects.toThrow(/timeout/);
  expect(way.counts.swallowed).toBeGreaterThan(0);
  way.set({ tag: 'pass' });
  await bell.rung(2);
  expect(await readStopped(listener, ['run'])).toEqual([{ run: 'run', part: 'capture', number: 3 }]);
});

test('so it is if nobody asks: what is said while it was dead rings', async () => {
  await using place = await open(50);
  const { state, way, bell } = place;
  way.set({ tag: 'swallow' });
  await recordStopped(state, 'run', { capture: 3 });
  while (way.counts.swallowed === 0) await new Promise((resolve) => void setImmediate(resolve));
  way.set({ tag: 'pass' });
  await bell.rung(2);
});
