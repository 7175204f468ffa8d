import { afterEach, beforeEach, expect, test } from 'vitest';
import { throwAwayDatabase, type ThrowAway } from '../../../test/embedded/services.ts';
import { beginLoad, readShard } from '../shard-state.ts';
import { countRows, destroyedAt, dropRows, markDestroyed, markDestroying } from './destroyed.ts';
import { migrate } from './migrate.ts';
import { openState, type State } from './state.ts';

let database: ThrowAway;
let state: State;
beforeEach(async () => {
  database = await throwAwayDatabase();
  state = openState(database.url);
  await migrate(state);
});
afterEach(async () => {
  await state.end();
  await database[Symbol.asyncDispose]();
});

const begin = (pipeline: string, usedEpoch = 0) => beginLoad(state, pipeline, 'slot', { hash: 'hash', json: '{"name":"x"}' }, usedEpoch);

test('while a pipeline is destroyed no load of it begins, and others do', async () => {
  await begin('a');
  await markDestroying(state, 'a');
  expect(await destroyedAt(state, 'a')).toBeNull();
  await expect(begin('a')).rejects.toThrow(/^Pipeline a is being destroyed, or that was stopped on its way.*\.\/sluice destroy a goes on with it; then \.\/sluice apply a/);
  expect(await begin('b')).toBe(2);
  await dropRows(state, 'a', []);
  // its spool is still there
  await expect(begin('a')).rejects.toThrow(/is being destroyed/);
  await markDestroyed(state, 'a');
  expect(Date.parse((await destroyedAt(state, 'a'))!)).toBeGreaterThan(Date.now() - 60_000);
  await begin('a');
  expect(await destroyedAt(state, 'a')).toBeUndefined();
});

test('E1, E28: what is loaded after a destroy counts as newer than anything of what was destroyed, whatever its name', async () => {
  for (let load = 0; load < 3; load++) await begin('a');
  await markDestroying(state, 'a');
  await dropRows(state, 'a', []);
  await markDestroyed(state, 'a');
  // it may write to the same table
  expect(await begin('b')).toBe(4);
  expect(await begin('a')).toBe(4);
  expect(await begin('a', 9)).toBe(10);
});

test('its results are numbered on, as some may have been kept', async () => {
  await begin('a');
  await state.query("insert into sluice.aggregate (pipeline, outbox_seq) values ('a', 7)");
  await markDestroying(state, 'a');
  // its lane was at work until it ended
  await state.query("update sluice.aggregate set outbox_seq = 9 where pipeline = 'a'");
  await dropRows(state, 'a', []);
  await dropRows(state, 'a', []);
  await markDestroyed(state, 'a');
  await begin('a');
  const { rows } = await state.query("select outbox_seq, load_epoch from sluice.aggregate where pipeline = 'a'");
  expect(rows).toEqual([{ outbox_seq: '9', load_epoch: null }]);
});

test('every row and every table of panes goes, and nothing of another pipeline', async () => {
  for (const pipeline of ['a', 'a_b']) {
    await begin(pipeline);
    await state.query("insert into sluice.fence (pipeline, lane, position) values ($1, 'aggregate', '0')", [pipeline]);
    await state.query("insert into sluice.progress (pipeline, part, detail) values ($1, 'capture', '{}')", [pipeline]);
    await state.query("insert into sluice.dead_letter (pipeline, lane, position, op, reason, commit_us, content) values ($1, 'rows', '0', 'insert', 'why', 0, '{}')", [pipeline]);
  }
  await state.query('create table sluice.panes_a_top (n int); create table sluice.panes_a_b_top (n int)');
  expect([await countRows(state, 'a'), await countRows(state, 'a_b')]).toEqual([4, 4]);
  expect(await dropRows(state, 'a', ['sluice."panes_a_top"'])).toBe(4);
  expect([await countRows(state, 'a'), await countRows(state, 'a_b')]).toEqual([0, 4]);
  expect((await readShard(state, 'a_b'))?.state).toBe('loading');
  const { rows } = await state.query("select tablename from pg_tables where schemaname = 'sluice' and tablename like 'panes%'");
  expect(rows).toEqual([{ tablename: 'panes_a_b_top' }]);
});
