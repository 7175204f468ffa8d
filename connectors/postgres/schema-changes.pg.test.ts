import { expect, test } from 'vitest';
import type { TableChanges } from '../../core/migration/plan.ts';
import { position } from '../../core/position.ts';
import { throwAwayDatabase } from '../../test/embedded/services.ts';
import { cancelChanges, keepSourceColumns, readChange, readOpenChange, readSourceColumns, recordChange, settleChange, tellChange } from './schema-changes.ts';
import { beginLoad } from './shard-state.ts';
import { migrate } from './state/migrate.ts';
import { openState } from './state/state.ts';

const changes = (to: string): TableChanges[] => [{ table: 'events', changes: [{ kind: 'renamed', column: 'a', to, type: 'text' }] }];
const columns = (name: string) => ({ events: [{ name, type: 'text', typeName: 'text' } as const] });
const found = (to: string, lsn = 100n, shape = 0) => ({ shape, epoch: 2, position: position(2, lsn, 0), columns: columns(to), changes: changes(to) });

test('a change that is met again is the same one, stays as somebody has read it, and keeps captures from beginning until it is over', async () => {
  await using database = await throwAwayDatabase();
  const state = openState(database.url);
  try {
    await migrate(state);
    expect(await readOpenChange(state, 'p', 2)).toBeUndefined();
    expect(await recordChange(state, 'p', found('b'))).toBe(1);
    expect(await readOpenChange(state, 'p', 2)).toBe(1);
    expect(await readOpenChange(state, 'p', 1)).toBeUndefined();
    // nobody has read it yet
    expect(await recordChange(state, 'p', found('c'))).toBe(1);
    expect(await readChange(state, 'p', 1)).toMatchObject({ changes: changes('c') });

    await tellChange(state, 'p', 1, { state: 'waiting' });
    expect(await recordChange(state, 'p', found('d'))).toBe(1);
    expect(await readChange(state, 'p', 1)).toMatchObject({ state: 'waiting', changes: changes('c') });

    await tellChange(state, 'p', 1, { state: 'cancelled' });
    expect(await readOpenChange(state, 'p', 2)).toBeUndefined();
    expect(await recordChange(state, 'p', found('d'))).toBe(1);
    expect(await readChange(state, 'p', 1)).toMatchObject({ state: 'planned', changes: changes('d') });
  } finally {
    await state.end();
  }
});

test('what turns out to concern nobody is over, and what is known from then on; not if a later load knows better', async () => {
  await using database = await throwAwayDatabase();
  const state = openState(database.url);
  try {
    await migrate(state);
    await recordChange(state, 'p', found('b'));
    await tellChange(state, 'p', 1, { state: 'unneeded' });
    expect(await readSourceColumns(state, 'p', 2)).toEqual(columns('b'));
    expect((await state.query('select ended_at from sluice.schema_change where ended_at is null')).rowCount).toBe(0);

    await keepSourceColumns(state, 'p', 3, columns('later'));
    await recordChange(state, 'p', found('c', 200n));
    await tellChange(state, 'p', 2, { state: 'unneeded' });
    expect(await readSourceColumns(state, 'p', 3)).toEqual(columns('later'));
  } finally {
    await state.end();
  }
});

test('what was not over ends with a load, and nobody decides it afterwards', async () => {
  await using database = await throwAwayDatabase();
  const state = openState(database.url);
  try {
    await migrate(state);
    const epoch = await beginLoad(state, 'p', 'slot', { hash: 'first', json: '{}' }, 1);
    expect(epoch).toBe(2);
    await recordChange(state, 'p', found('b'));
    await tellChange(state, 'p', 1, { state: 'waiting' });
    expect(await cancelChanges(state, 'p', 2)).toEqual([]);
    await beginLoad(state, 'p', 'slot', { hash: 'second', json: '{}' }, 0);
    expect(await cancelChanges(state, 'p', 3)).toEqual([1]);
    await expect(settleChange(state, 'p', 1, {}, { hash: 'third', json: '{}' })).rejects.toThrow(/Migration 1 of pipeline p counts no more: the pipeline was loaded anew meanwhile/);
    expect(await readChange(state, 'p', 1)).toMatchObject({ state: 'cancelled' });
    expect((await state.query('select definition_hash from sluice.shard')).rows).toEqual([{ definition_hash: 'second' }]);
  } finally {
    await state.end();
  }
});

test('what a capture finds that stood still until a migration was done is not a change, and changes nothing', async () => {
  await using database = await throwAwayDatabase();
  const state = openState(database.url);
  try {
    await migrate(state);
    await beginLoad(state, 'p', 'slot', { hash: 'first', json: '{}' }, 1);
    await keepSourceColumns(state, 'p', 2, columns('a'));
    expect(await recordChange(state, 'p', found('b'))).toBe(1);
    await settleChange(state, 'p', 1, {}, { hash: 'second', json: '{}' });
    expect(await recordChange(state, 'p', found('b'))).toBe(1);
    expect(await recordChange(state, 'p', { ...found('a'), position: null })).toBe(1);
    await keepSourceColumns(state, 'p', 2, columns('a'));
    expect(await readOpenChange(state, 'p', 2)).toBeUndefined();
    expect(await readSourceColumns(state, 'p', 2)).toEqual(columns('b'));
    // one that knows of it has met another, though nothing came between
    expect(await recordChange(state, 'p', found('c', 100n, 1))).toBe(2);
    expect(await readOpenChange(state, 'p', 2)).toBe(2);
  } finally {
    await state.end();
  }
});

test('who stood still while he told of a change tells nothing any more that others have left behind', async () => {
  await using database = await throwAwayDatabase();
  const state = openState(database.url);
  try {
    await migrate(state);
    await beginLoad(state, 'p', 'slot', { hash: 'first', json: '{}' }, 1);
    await recordChange(state, 'p', found('b'));
    await tellChange(state, 'p', 1, { state: 'unneeded' });
    await recordChange(state, 'p', found('c', 200n));
    // nobody has decided yet: what follows is read as it was
    await tellChange(state, 'p', 1, { state: 'unneeded' });
    expect(await readSourceColumns(state, 'p', 2)).toEqual(columns('b'));
    await tellChange(state, 'p', 2, { state: 'unneeded' });
    await tellChange(state, 'p', 1, { state: 'unneeded' });
    expect(await readSourceColumns(state, 'p', 2)).toEqual(columns('c'));
    await recordChange(state, 'p', found('d', 300n));
    await settleChange(state, 'p', 3, {}, { hash: 'second', json: '{}' });
    await tellChange(state, 'p', 2, { state: 'unneeded' });
    expect(await readSourceColumns(state, 'p', 2)).toEqual(columns('d'));

    await recordChange(state, 'p', found('e', 400n, 3));
    await tellChange(state, 'p', 4, { state: 'cancelled', error: 'somebody did' });
    for (const late of ['waiting', 'unneeded', 'draining'] as const) await tellChange(state, 'p', 4, { state: late });
    expect(await readChange(state, 'p', 4)).toMatchObject({ state: 'cancelled' });
    expect(await readOpenChange(state, 'p', 2)).toBeUndefined();
    expect(await readSourceColumns(state, 'p', 2)).toEqual(columns('d'));
    // what is done may still be told of
    await tellChange(state, 'p', 3, { state: 'done', error: 'a table has columns that no row has' });
    expect((await state.query('select state, error from sluice.schema_change where number = 3')).rows).toEqual([{ state: 'done', error: 'a table has columns that no row has' }]);
  } finally {
    await state.end();
  }
});
