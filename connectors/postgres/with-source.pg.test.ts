import { Client } from 'pg';
import { expect, test } from 'vitest';
import { throwAwayDatabase } from '../../test/embedded/services.ts';
import { TransientError } from '../transient-error.ts';
import { withSource } from './with-source.ts';

test('a look that has to wait for who alters a table is over on the server too', { timeout: 30_000 }, async () => {
  await using database = await throwAwayDatabase();
  await using stack = new AsyncDisposableStack();
  const other = new Client({ connectionString: database.url });
  await other.connect();
  stack.defer(() => other.end());
  await other.query('create table held (id int)');
  await other.query('begin; lock table held in access exclusive mode');

  const look = withSource(database.url, 'sluice look', (source) => source.query('explain select from held'));
  await expect(look).rejects.toThrow(TransientError);
  await expect(look).rejects.toThrow('lock timeout');
  const { rows } = await other.query("select pid from pg_stat_activity where application_name = 'sluice look' and wait_event_type = 'Lock'");
  expect(rows).toEqual([]);
});
