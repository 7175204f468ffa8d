import { expect, test } from 'vitest';
import { throwAwayDatabase } from '../../test/embedded/services.ts';
import { position } from '../../core/position.ts';
import { beginLoad, endLoad, LoadSuperseded, readShard, recordConfirmed } from './shard-state.ts';
import { migrate } from './state/migrate.ts';
import { openState } from './state/state.ts';

test('E6, E28: what is confirmed is on record first, never goes back, and belongs to the last load alone', async () => {
  await using database = await throwAwayDatabase();
  const state = openState(database.url);
  try {
    await migrate(state);
    const load = async (timeline = 1) => {
      const epoch = await beginLoad(state, 'p', 's', { hash: 'hash', json: '{}' }, 0);
      await endLoad(state, 'p', epoch, { position: position(epoch, 100n, 0), systemIdentifier: '1', timeline, tables: {} });
      return epoch;
    };
    const first = await load();
    const confirm = (epoch: number, lsn: bigint) => recordConfirmed(state, 'p', epoch, { lsn, to: position(epoch, lsn, 0), timeline: 1 });
    await confirm(first, 300n);
    await confirm(first, 200n);
    expect((await readShard(state, 'p'))!.confirmed).toEqual({ lsn: 300n, to: position(first, 300n, 0), timeline: 1 });
    const second = await load(2);
    await expect(confirm(first, 400n)).rejects.toThrow(LoadSuperseded);
    expect((await readShard(state, 'p'))!.confirmed).toEqual({ lsn: 100n, to: position(second, 100n, 0), timeline: 2 });
  } finally {
    await state.end();
  }
});
