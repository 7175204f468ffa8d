import { expect, test } from 'vitest';
import { max, min, scaled } from '../../core/define-pipeline.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { differenceText, verificationText, type Verification } from '../../core/verification.ts';
import { World } from './world.ts';

const duration = { op: 'column', table: 'events', column: 'duration_ms', type: 'int' } as const;

/** The leaderboard also shows the longest and the shortest. Both views share their panes. */
function withExtremes(pipeline: Pipeline): Pipeline {
  const leaderboard = pipeline.views['leaderboard']!;
  return { ...pipeline, views: { ...pipeline.views, leaderboard: { ...leaderboard, measures: { ...leaderboard.measures, longest: max(scaled(duration, 3)), shortest: min(duration) } } } };
}

const panesOf = ({ checks }: Verification) => checks.find(({ what }) => what.startsWith('panes of'))!;

test('E15: min and max are compared with the source; what a pane has lost is left out and said, until a repair has computed it anew', async () => {
  await using world = await World.open({ changed: withExtremes });
  const table = 'sluice.panes_engagement_top10m';
  const before = await world.verify();
  expect(verificationText(before)).toMatch(/everything is equal/);
  expect(panesOf(before).note).toMatch(/^\d+ panes have lost a min or max, and only the source knows the next one \(E15\): until it is computed anew it is not compared\./);

  const spoil = async (set: string): Promise<string> => {
    await world.state.query(`create table kept as select * from ${table}`);
    await world.state.query(`update ${table} set ${set} where (pane_ms, key) = (select pane_ms, key from ${table} where longest_rows = 1 and longest <> shortest and (pane_ms, key) not in (select pane_ms, key from sluice.late) order by 1, 2 limit 1)`);
    const spoiled = await world.verify();
    await world.state.query(`truncate ${table}; insert into ${table} select * from kept; drop table kept`);
    expect(spoiled.equal).toBe(false);
    return panesOf(spoiled).differences.map(differenceText).join('; ');
  };
  expect(await spoil('longest = longest + 1')).toMatch(/^changed pane_ms=\d+ key=\S+: longest is -?\d+, expected -?\d+$/);
  expect(await spoil('longest_rows = 2')).toMatch(/: longest_rows is 2, expected 1$/);
  // what is shown is wrong, too
  await world.state.query('update results.leaderboard set longest = longest + 1');
  expect((await world.verify()).checks.find(({ sink }) => sink === 'table')!.equal).toBe(false);
  await world.state.query('update results.leaderboard set longest = longest - 1');

  expect(await world.repair()).toBeGreaterThan(0);
  // as the end of a backfill does
  await world.replay('live');
  const after = await world.verify();
  expect(verificationText(after)).toMatch(/everything is equal/);
  expect(panesOf(after).note).toBeUndefined();
  const { rows } = await world.state.query<{ types: string }>("select string_agg(column_name || ' ' || data_type || ' ' || is_nullable, ', ' order by column_name) as types from information_schema.columns where table_schema = 'results' and column_name in ('longest', 'shortest')");
  expect(rows[0]!.types).toBe('longest numeric YES, shortest bigint YES');
});
