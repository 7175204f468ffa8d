import { expect, test } from 'vitest';
import { throwAwayDatabase } from '../../../test/embedded/services.ts';
import { TransientError } from '../../transient-error.ts';
import { classified } from '../errors.ts';
import { inTransaction, openState, unhurried } from './state.ts';

test('a connection that breaks between two statements of a transaction fails the next one, and not the process', async () => {
  await using database = await throwAwayDatabase();
  const state = openState(database.url);
  try {
    const broken = inTransaction(state, async (client) => {
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
      // not events.once: it listens to errors too
      const ended = new Promise<void>((resolve) => client.once('end', () => resolve()));
      await state.query('select pg_terminate_backend($1)', [rows[0]!.pid]);
      await ended;
      await client.query('select 1');
    });
    await expect(broken).rejects.toThrow(/not queryable|terminat/);
    const { rows } = await inTransaction(state, (client) => client.query<{ one: number }>('select 1 as one'));
    expect(rows[0]!.one).toBe(1);
  } finally {
    await state.end();
  }
});

test('a transaction that is not answered ends, and its connection serves nobody any more', async () => {
  await using database = await throwAwayDatabase();
  const state = openState(database.url, { max: 1, answerMs: 2_000 });
  try {
    const pids: number[] = [];
    const stuck = classified('state database', () => inTransaction(state, async (client) => {
      pids.push((await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid);
      await client.query('select pg_sleep(60)');
    }));
    const startedAt = performance.now();
    await expect(stuck).rejects.toThrow(TransientError);
    // not once more for a rollback
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    const { rows } = await state.query<{ pid: number }>('select pg_backend_pid() as pid');
    expect(pids).not.toContain(rows[0]!.pid);
    // what takes as long as there is much of it has its time
    await state.query(unhurried({ text: 'select pg_sleep($1)', values: [2.5] }));
  } finally {
    await state.end();
  }
});
