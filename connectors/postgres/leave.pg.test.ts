import { Client } from 'pg';
import { expect, test } from 'vitest';
import { stateBehindProxy } from '../../test/embedded/state-behind-proxy.ts';
import { leave } from './leave.ts';

test('a connection that goes dead without a word is left all the same', async () => {
  await using stack = new AsyncDisposableStack();
  const { url, way } = await stateBehindProxy(stack);
  const [alive, dead] = [new Client({ connectionString: url }), new Client({ connectionString: url })];
  await Promise.all([alive.connect(), dead.connect()]);
  const startedAt = performance.now();
  await leave(alive);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  way.set({ tag: 'swallow' });
  await leave(dead);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
});
