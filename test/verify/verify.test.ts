import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NotComparable } from '../../connectors/verification/not-comparable.ts';
import { differenceText, verificationText, type Check } from '../../core/verification.ts';
import { World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await World.open();
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** Spoils something, compares, mends it. Returns the checks that found differences, by what they are of. */
async function spoiled(spoil: () => Promise<unknown>, mend: () => Promise<unknown>, only?: string): Promise<Record<string, string[]>> {
  await spoil();
  try {
    const { checks, equal } = await world.verify(only === undefined ? {} : { only });
    expect(equal).toBe(false);
    return Object.fromEntries(checks.filter((check) => !check.equal).map((check) => [named(check), check.differences.map(differenceText)]));
  } finally {
    await mend();
  }
}

const named = ({ sink, what }: Check) => `${sink}: ${what.replace(/127[.]0[.]0[.]1:\d+/, 'receiver')}`;
const sql = (text: string, values: unknown[] = []) => world.state.query<Record<string, string>>(text, values);
const one = async (text: string) => (await sql(text)).rows[0]!;
const click = (query: string) => world.clickhouse.command({ query, clickhouse_settings: { mutations_sync: '2' } });

describe('verify', () => {
  test('finds everything equal, infinite and BC times, late and future events and changed contents included', async () => {
    const verification = await world.verify();
    expect(verificationText(verification)).toMatch(/everything is equal/);
    expect(verification.checks.map((check) => [named(check), check.equal])).toEqual([
      ['aggregate: content: newest versions', true],
      ['aggregate: panes of top10m, leaderboard, with late ones', true],
      ['enriched: rows of engagement_enriched', true],
      ['live: scores of top_engagement:10min', true],
      ['live: hashes {top_engagement:10min}:content:*', true],
      ['leaderboard: newest window in leaderboard', true],
      ['leaderboard: ranks in leaderboard', true],
      ['external: events at receiver, folded by key', true],
      ['table: windows in results.leaderboard', true],
    ]);
    for (const { expected, actual } of verification.checks) {
      expect(expected.rows).toBeGreaterThan(0);
      expect(actual).toEqual(expected);
    }
    const { late, future } = await one(`select count(*) filter (where reason = 'late') as late, count(*) filter (where reason = 'future') as future from sluice.late`);
    expect([Number(late) > 0, Number(future) > 0]).toEqual([true, true]);
  });

  test('the checksum does not depend on the order of rows, and does on their values', async () => {
    const before = (await world.verify()).checks.find(({ sink }) => sink === 'table')!.actual.checksum;
    await sql('create table moved as select * from results.leaderboard order by random(); truncate results.leaderboard; insert into results.leaderboard select * from moved; drop table moved');
    expect((await world.verify()).checks.find(({ sink }) => sink === 'table')!.actual.checksum).toBe(before);
    await sql('update results.leaderboard set score = score + 1');
    expect((await world.verify()).checks.find(({ sink }) => sink === 'table')!.actual.checksum).not.toBe(before);
    await sql('update results.leaderboard set score = score - 1');
  });
});

describe('a planted difference is found and named', () => {
  test('dimension: a changed title, a lost row', async () => {
    const { id, title } = await one('select id, title from content order by id limit 1');
    const found = await spoiled(() => sql('update content set title = $2 where id = $1', [id, 'other']), () => sql('update content set title = $2 where id = $1', [id, title]));
    expect(found['aggregate: content: newest versions']).toEqual([`changed id=${id}: title is '${title}', expected other`]);
    await sql('create table kept as select * from sluice.dimension_version');
    const lost = await spoiled(() => sql('delete from sluice.dimension_version where key = $1', [id]), () => sql('truncate sluice.dimension_version; insert into sluice.dimension_version select * from kept; drop table kept'));
    expect(lost['aggregate: content: newest versions']![0]).toMatch(`missing id=${id}`);
  });

  const panes = 'aggregate: panes of top10m, leaderboard, with late ones';
  const paneTable = 'sluice.panes_engagement_top10m';

  test('panes: changed, missing, extra, a late delta lost (I7)', async () => {
    const pane = await one(`select * from ${paneTable} where score <> 0 order by pane_ms, key limit 1`);
    const at = `pane_ms = ${pane['pane_ms']} and key = '${pane['key']}'`;
    const where = `pane_ms=${pane['pane_ms']} key=${pane['key']}`;
    const changed = await spoiled(() => sql(`update ${paneTable} set score = score + 1 where ${at}`), () => sql(`update ${paneTable} set score = score - 1 where ${at}`));
    expect(changed[panes]![0]).toMatch(`changed ${where}: score is `);
    await sql(`create table kept as select * from ${paneTable} where ${at}`);
    const missing = await spoiled(() => sql(`delete from ${paneTable} where ${at}`), () => sql(`insert into ${paneTable} select * from kept; drop table kept`));
    expect(missing[panes]![0]).toMatch(`missing ${where}: expected score=`);
    const extra = await spoiled(() => sql(`insert into ${paneTable} select pane_ms, 'nobody', 1, 0, 0, 0, 0 from ${paneTable} where ${at}`), () => sql(`delete from ${paneTable} where key = 'nobody'`));
    expect(extra[panes]).toEqual([`extra pane_ms=${pane['pane_ms']} key=nobody: score=1 plays=0 finishes=0 clicks=0 seconds=0`]);
    await sql('create table kept as select * from sluice.late');
    const late = await spoiled(() => sql(`delete from sluice.late where reason = 'late' and pane_ms = (select pane_ms from kept where reason = 'late' and pane_ms > (select horizon_ms from sluice.aggregate) group by pane_ms having sum(deltas[1]) <> 0 limit 1)`), () => sql('truncate sluice.late; insert into sluice.late select * from kept; drop table kept'));
    expect(Object.keys(late)).toEqual([panes]);
  });

  test('an event that the panes never saw', async () => {
    const insert = `insert into engagement_events (id, content_id, event_type, event_ts) select 999999, content_id, 'play', event_ts from engagement_events where content_id is not null and isfinite(event_ts) order by event_ts desc limit 1`;
    const found = await spoiled(() => sql(insert), () => sql('delete from engagement_events where id = 999999'));
    expect(Object.keys(found)).toEqual(expect.arrayContaining([panes, 'enriched: rows of engagement_enriched', 'external: events at receiver, folded by key']));
    expect(found['enriched: rows of engagement_enriched']![0]).toMatch(/^missing id=999999: expected content_id=/);
  });

  const windows = 'table: windows in results.leaderboard';

  test('results table: wrong rank, score, label, revision, final; a window missing or extra', async () => {
    const { window_end: end, content_id: key } = await one(`select window_end::text, content_id from results.leaderboard where rank = 1 and title is not null order by window_end limit 1`);
    const where = `window_end = '${end}' and rank = 1`;
    const change = async (set: string) => {
      await sql('create table kept as select * from results.leaderboard');
      return (await spoiled(() => sql(`update results.leaderboard set ${set} where ${where}`), () => sql('truncate results.leaderboard; insert into results.leaderboard select * from kept; drop table kept'), 'table'))[windows];
    };
    expect(await change('score = score + 0.1')).toEqual([expect.stringMatching(/^changed window_end=.* rank=1: score is .*, expected /)]);
    expect(await change(`title = 'wrong'`)).toEqual([expect.stringMatching(/: title is wrong, expected '/)]);
    expect(await change('title = null')).toEqual([expect.stringMatching(/: title is NULL, expected '/)]);
    expect(await change('revision = revision + 1')).toEqual([expect.stringMatching(/: revision is /)]);
    expect(await change('final = not final')).toEqual([expect.stringMatching(/: final is /)]);
    expect(await change(`window_start = window_start - interval '1 second'`)).toEqual([expect.stringMatching(/: window_start is /)]);
    expect(await change(`content_id = '00000000-0000-0000-0000-000000000000'`)).toEqual([expect.stringMatching(`content_id is 00000000-0000-0000-0000-000000000000, expected ${key}`)]);
    expect(await change('rank = 9')).toEqual([expect.stringMatching(/^missing .* rank=1:/), expect.stringMatching(/^extra .* rank=9:/)]);
  });

  test('results table: a label that the dimension never had is found when the outbox is trimmed, one that it had is not', async () => {
    await sql('create table kept as select * from results.leaderboard; create table outbox_kept as select * from sluice.outbox');
    const mend = () => sql('truncate results.leaderboard; insert into results.leaderboard select * from kept; drop table kept; truncate sluice.outbox; insert into sluice.outbox select * from outbox_kept; drop table outbox_kept');
    await sql(`delete from sluice.outbox where seq <= (select max(seq) - 5 from sluice.outbox)`);
    expect((await world.verify()).checks.find((check) => named(check) === windows)).toMatchObject({ equal: true });
    const found = await spoiled(() => sql(`update results.leaderboard set title = 'never' where (window_end, rank) = (select window_end, rank from kept where title is not null order by window_end, rank limit 1)`), mend);
    expect(found[windows]).toEqual([expect.stringMatching(/title is never, expected '/)]);
  });

  test('Redis: the newest window: wrong score, label, member, end', async () => {
    const [member, score] = (await world.redis.zrange('leaderboard', '0', '0', 'WITHSCORES')) as [string, string];
    const ranks = 'leaderboard: ranks in leaderboard';
    const wrongScore = await spoiled(() => world.redis.zincrby('leaderboard', 0.1, member), () => world.redis.zadd('leaderboard', score, member));
    expect(wrongScore[ranks]).toEqual([expect.stringMatching(`^changed key=${member}: score is .*, expected ${score}$`)]);
    const extra = await spoiled(() => world.redis.zadd('leaderboard', 1, 'nobody'), () => world.redis.zrem('leaderboard', 'nobody'));
    expect(extra[ranks]).toEqual(['extra key=nobody: score=1 title=NULL']);
    const missing = await spoiled(() => world.redis.zrem('leaderboard', member), () => world.redis.zadd('leaderboard', score, member));
    expect(missing[ranks]).toEqual([expect.stringMatching(`^missing key=${member}: expected score=`)]);
    const label = (await world.redis.hget('{leaderboard}:labels', member))!;
    const wrongLabel = await spoiled(() => world.redis.hset('{leaderboard}:labels', member, '{"title":"wrong"}'), () => world.redis.hset('{leaderboard}:labels', member, label));
    expect(wrongLabel[ranks]).toEqual([expect.stringMatching(`^changed key=${member}: title is wrong, expected `)]);
    const end = (await world.redis.hget('{leaderboard}:window', 'end_ms'))!;
    const older = await spoiled(() => world.redis.hset('{leaderboard}:window', 'end_ms', Number(end) - 10_000), () => world.redis.hset('{leaderboard}:window', 'end_ms', end));
    expect(older['leaderboard: newest window in leaderboard']).toEqual([expect.stringMatching(`end_ms is ${Number(end) - 10_000}, expected ${end}`)]);
  });

  test('Redis: the live structure: wrong score, extra and missing member, hash field, lost and extra hash', async () => {
    const key = 'top_engagement:10min';
    const [scores, hashes] = [`live: scores of ${key}`, `live: hashes {${key}}:content:*`];
    const [member, score] = (await world.redis.zrange(key, '0', '0', 'WITHSCORES')) as [string, string];
    const hash = `{${key}}:content:${member}`;
    const fields = await world.redis.hgetall(hash);
    const wrong = await spoiled(() => world.redis.zincrby(key, 0.2, member), () => world.redis.zadd(key, score, member));
    expect(wrong).toEqual({ [scores]: [expect.stringMatching(`^changed key=${member}: score is .*, expected ${score}$`)] });
    const extra = await spoiled(() => world.redis.zadd(key, 7, 'nobody'), () => world.redis.zrem(key, 'nobody'));
    expect(extra).toEqual({ [scores]: ['extra key=nobody: score=7'] });
    const missing = await spoiled(() => world.redis.zrem(key, member), () => world.redis.zadd(key, score, member));
    expect(missing).toEqual({ [scores]: [`missing key=${member}: expected score=${score}`] });
    const field = await spoiled(() => world.redis.hincrby(hash, 'plays', 1), () => world.redis.hset(hash, fields));
    expect(field).toEqual({ [hashes]: [`changed key=${member}: plays is ${Number(fields['plays']) + 1}, expected ${fields['plays']}`] });
    const lost = await spoiled(() => world.redis.del(hash), () => world.redis.hset(hash, fields));
    expect(lost[hashes]).toEqual([expect.stringMatching(`^missing key=${member}: expected plays=`)]);
    const left = await spoiled(() => world.redis.hset(`{${key}}:content:nobody`, fields), () => world.redis.del(`{${key}}:content:nobody`));
    expect(left[hashes]).toEqual([expect.stringMatching('^extra key=nobody: plays=')]);
  });

  const rows = 'enriched: rows of engagement_enriched';
  /** Writes over a row, with a version just above its own. */
  const write = async (set: Record<string, string>, where: string) => {
    const result = await world.clickhouse.query({ query: 'SELECT name FROM system.columns WHERE table = {table:String} AND database = currentDatabase()', query_params: { table: 'engagement_enriched' }, format: 'JSONEachRow' });
    const columns = (await result.json<{ name: string }>()).map(({ name }) => name);
    const values = columns.map((name) => (name === '_position' ? '_position + 1' : (set[name] ?? name)));
    await click(`INSERT INTO engagement_enriched (${columns.join(', ')}) SELECT ${values.join(', ')} FROM engagement_enriched FINAL WHERE ${where}`);
  };
  const kept = async () => {
    await click('CREATE TABLE kept AS engagement_enriched');
    await click('INSERT INTO kept SELECT * FROM engagement_enriched');
  };
  const restore = async () => {
    await click('TRUNCATE TABLE engagement_enriched');
    await click('INSERT INTO engagement_enriched SELECT * FROM kept');
    await click('DROP TABLE kept SYNC');
  };

  test('ClickHouse: each column changed, a row missing, extra, and left behind under another sort key', async () => {
    const { id } = await one(`select e.id::text from engagement_events e join content c on c.id = e.content_id where duration_ms is not null and length_seconds > 0 and raw_payload is not null and device is not null and isfinite(event_ts) and event_ts > '2026-01-01' order by 1 limit 1`);
    const changes: Record<string, string> = { title: `'wrong'`, content_type: 'NULL', engagement_seconds: 'engagement_seconds + 0.001', engagement_pct: 'NULL', device: `concat(device, ' ')`, raw_payload: `'{}x'`, duration_ms: 'duration_ms + 1', user_id: `toUUID('00000000-0000-0000-0000-000000000001')` };
    for (const [column, value] of Object.entries(changes)) {
      await kept();
      const found = await spoiled(() => write({ [column]: value }, `id = ${id}`), restore, 'enriched');
      expect(found).toEqual({ [rows]: [expect.stringMatching(`^changed id=${id}: ${column} is `)] });
    }
    await kept();
    const missing = await spoiled(() => write({ _deleted: '1' }, `id = ${id}`), restore, 'enriched');
    expect(missing).toEqual({ [rows]: [expect.stringMatching(`^missing id=${id}: expected `)] });
    await kept();
    const extra = await spoiled(() => write({ id: '888888' }, `id = ${id}`), restore, 'enriched');
    expect(extra).toEqual({ [rows]: [expect.stringMatching('^extra id=888888: ')] });
    await kept();
    const behind = await spoiled(() => write({ event_ts: 'event_ts - toIntervalDay(1)' }, `id = ${id}`), restore, 'enriched');
    expect(behind[rows]).toEqual([expect.stringMatching(`^changed id=${id}: event_ts is `), `repeated id=${id}: times=2`]);
    await kept();
    const microsecond = await spoiled(async () => {
      await write({ event_ts: 'event_ts + toIntervalMicrosecond(1)' }, `id = ${id}`);
      await write({ _deleted: '1' }, `id = ${id} AND event_ts = (SELECT min(event_ts) FROM engagement_enriched WHERE id = ${id})`);
    }, restore, 'enriched');
    expect(microsecond).toEqual({ [rows]: [expect.stringMatching(`^changed id=${id}: event_ts is `)] });
  });

  test('ClickHouse: a dimension version that was not valid at the row\'s position (E16)', async () => {
    const { id, title } = await one(`select e.id::text, c.title from engagement_events e join content c on c.id = e.content_id where c.title like 'renamed%' order by e.id desc limit 1`);
    await kept();
    const found = await spoiled(() => write({ title: `'Title 1 "ü"'` }, `id = ${id}`), restore, 'enriched');
    expect(found).toEqual({ [rows]: [`changed id=${id}: title is 'Title 1 "ü"', expected '${title}'`] });
  });

  test('receiver: a wrong value, a lost and an extra event', async () => {
    const what = 'external: events at receiver, folded by key';
    const { id } = await one(`select id::text from engagement_events where device is not null order by id desc limit 1`);
    const send = (event: Record<string, unknown>) => world.receiver.accept(JSON.stringify(event), Buffer.from(JSON.stringify([event])));
    const line = (key: string) => [...world.receiver.folded('')].find((row) => row.key === key)!;
    const original = line(id);
    const next = () => `${original.position.slice(0, 31)}${(Number.parseInt(line(id).position.slice(31), 16) + 1).toString(16)}`;
    const row = JSON.parse(original.row) as Record<string, unknown>;
    const mend = async () => send({ position: next(), op: 'update', key: Number(id), row });
    const changed = await spoiled(async () => send({ position: next(), op: 'update', key: Number(id), row: { ...row, device: 'wrong' } }), mend);
    expect(changed).toEqual({ [what]: [expect.stringMatching(`^changed id=${id}: device is wrong, expected `)] });
    const extra = await spoiled(async () => send({ position: original.position, op: 'insert', key: 777777, row: { ...row, id: 777777 } }), async () => send({ position: `${original.position.slice(0, 31)}f`, op: 'delete', key: 777777, row: null }));
    expect(extra).toEqual({ [what]: [expect.stringMatching('^extra id=777777: ')] });
    const lost = await spoiled(async () => send({ position: `${original.position.slice(0, 30)}ff`, op: 'delete', key: Number(id), row: null }), async () => {});
    expect(lost).toEqual({ [what]: [expect.stringMatching(`^missing id=${id}: expected `)] });
    send({ position: `${original.position.slice(0, 29)}fff`, op: 'update', key: Number(id), row });
    expect((await world.verify()).equal).toBe(true);
  });
});

describe('what cannot be compared is said, and is not a difference', () => {
  test('a sink that does not answer', async () => {
    await expect(world.verify({ clickhouseUrl: 'http://127.0.0.1:1' })).rejects.toThrow(/^enriched could not be read: .*127\.0\.0\.1:1/);
  });

  test('a fence that somebody else moved', async () => {
    const fence = '{top_engagement:10min}:fence';
    await world.verify();
    const before = (await world.redis.get(fence))!;
    await world.redis.set('{top_engagement:10min}:fence', '0'.repeat(32));
    await expect(world.verify()).rejects.toThrow('another worker has gone on');
    await world.redis.set(fence, before);
  });

  test('a pipeline that is being loaded', async () => {
    await sql(`update sluice.shard set state = 'loading'`);
    await expect(world.verify()).rejects.toThrow(NotComparable);
    await expect(world.verify()).rejects.toThrow('engagement is still being loaded. See ./sluice status');
    await sql(`update sluice.shard set state = 'streaming'`);
  });
});
