import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../../test/capture/captured-source.ts';
import { throwAwayDatabase, type ThrowAway } from '../../../test/embedded/services.ts';
import { ConfigurationError } from '../../sink.ts';
import { beginLoad, readShard } from '../shard-state.ts';
import { assertDestroying, countRows, destroyedAt, dropRows, greatestEpoch, markDestroyed, markDestroying } from './destroyed.ts';
import { migrate } from './migrate.ts';
import { inTransaction, openState, type State } from './state.ts';

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

const a = { pipeline: 'a' };
const begin = (pipeline: string, usedEpoch = 0) => beginLoad(state, pipeline, 'slot', { hash: 'hash', json: '{"name":"x"}' }, usedEpoch);

test('while a pipeline is destroyed no load of it begins, and others do', async () => {
  await begin('a');
  await markDestroying(state, a);
  expect(await destroyedAt(state, 'a')).toBeNull();
  await expect(begin('a')).rejects.toThrow(/^Pipeline a is being destroyed, or that was stopped on its way.*\.\/sluice destroy a goes on with it; then \.\/sluice apply a/);
  expect(await begin('b')).toBe(2);
  await dropRows(state, a, []);
  // its spool is still there
  await expect(begin('a')).rejects.toThrow(/is being destroyed/);
  await markDestroyed(state, a);
  expect(Date.parse((await destroyedAt(state, 'a'))!)).toBeGreaterThan(Date.now() - 60_000);
  await begin('a');
  expect(await destroyedAt(state, 'a')).toBeUndefined();
});

test('E1, E28: what is loaded after a destroy counts as newer than anything of what was destroyed, whatever its name', async () => {
  for (let load = 0; load < 3; load++) await begin('a');
  await markDestroying(state, a);
  await dropRows(state, a, []);
  await markDestroyed(state, a);
  // it may write to the same table
  expect(await begin('b')).toBe(4);
  expect(await begin('a')).toBe(4);
  expect(await begin('a', 9)).toBe(10);
});

test('its results are numbered on, as some may have been kept', async () => {
  await begin('a');
  await state.query("insert into sluice.aggregate (pipeline, outbox_seq) values ('a', 7)");
  await markDestroying(state, a);
  // its lane was at work until it ended
  await state.query("update sluice.aggregate set outbox_seq = 9 where pipeline = 'a'");
  await dropRows(state, a, []);
  await dropRows(state, a, []);
  await markDestroyed(state, a);
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
  await markDestroying(state, a);
  expect(await dropRows(state, a, ['sluice."panes_a_top"'])).toBe(4);
  expect([await countRows(state, 'a'), await countRows(state, 'a_b')]).toEqual([0, 4]);
  expect((await readShard(state, 'a_b'))?.state).toBe('loading');
  const { rows } = await state.query("select tablename from pg_tables where schemaname = 'sluice' and tablename like 'panes%'");
  expect(rows).toEqual([{ tablename: 'panes_a_b_top' }]);
});

describe('E28: a worker that stood still in a destruction, while that ended and the pipeline was applied anew', () => {
  const first = { pipeline: 'a', epoch: 1 };
  const ended = async () => {
    await begin('a');
    await state.query('create table sluice.panes_a (n int)');
    await markDestroying(state, first);
    await dropRows(state, first, ['sluice.panes_a']);
    await markDestroyed(state, first);
  };
  const appliedAnew = async () => {
    await ended();
    await begin('a');
    await state.query('create table sluice.panes_a (n int)');
  };
  const there = async () => ({ epoch: (await readShard(state, 'a'))?.epoch, hasPanes: (await state.query("select from pg_tables where tablename = 'panes_a'")).rowCount === 1, destroyed: await destroyedAt(state, 'a') });

  test.each([
    ['one that tells which it is', first],
    ['one that an earlier release began', { pipeline: 'a' }],
  ])('drops nothing of what is there now (%s)', async (_, destruction) => {
    await appliedAnew();
    await expect(dropRows(state, destruction, ['sluice.panes_a'])).rejects.toThrow(/^This destruction of pipeline a has ended, .*: it drops nothing more\. To drop what is there now, type \.\/sluice destroy a\.$/);
    await expect(assertDestroying(state, destruction)).rejects.toThrow(ConfigurationError);
    expect(await there()).toEqual({ epoch: 2, hasPanes: true, destroyed: undefined });
  });

  test('nor does it keep the pipeline from beginning', async () => {
    await ended();
    const at = await destroyedAt(state, 'a');
    await expect(markDestroying(state, first)).rejects.toThrow(/^Pipeline a was loaded or destroyed since .*: nothing was dropped\./);
    expect(await destroyedAt(state, 'a')).toBe(at);
    await begin('a');
    await expect(markDestroying(state, first, at)).rejects.toThrow(ConfigurationError);
    expect(await there()).toMatchObject({ epoch: 2, destroyed: undefined });
  });

  test('nor does it drop for the next destruction, which may keep results, or end it', async () => {
    await appliedAnew();
    const second = { pipeline: 'a', epoch: await greatestEpoch(state, 'a') };
    await markDestroying(state, second);
    await expect(assertDestroying(state, first)).rejects.toThrow(ConfigurationError);
    await markDestroyed(state, first);
    await assertDestroying(state, second);
    expect(await dropRows(state, second, [])).toBeGreaterThan(0);
    // the epoch is on record still
    await assertDestroying(state, second);
    await markDestroyed(state, second);
    const at = await destroyedAt(state, 'a');
    expect(at).toEqual(expect.any(String));
    // what stays may be destroyed once more
    await markDestroying(state, second, at);
    await markDestroying(state, second, at);
    expect(await destroyedAt(state, 'a')).toBeNull();
  });

  test('it does not end while something is being dropped', async () => {
    await begin('a');
    await markDestroying(state, first);
    const order: string[] = [];
    let ending!: Promise<unknown>;
    await inTransaction(state, async (client) => {
      await assertDestroying(client, first, 'for update');
      ending = markDestroyed(state, first).then(() => order.push('ended'));
      const isWaiting = async () => (await state.query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like 'update sluice.destroyed%'")).rowCount === 1;
      await until(isWaiting, 'the end to wait');
      order.push('dropped');
    });
    await ending;
    expect(order).toEqual(['dropped', 'ended']);
  });
});
