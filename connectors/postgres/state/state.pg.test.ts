import { expect, test } from 'vitest';
import { throwAwayDatabase } from '../../../test/embedded/services.ts';
import { inTransaction, openState } from './state.ts';

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
