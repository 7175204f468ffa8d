import { expect, test } from 'vitest';
import { distinct, quantile, scaled } from '../../core/define-pipeline.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { differenceText, verificationText, type Verification } from '../../core/verification.ts';
import { World } from './world.ts';

const column = <C extends string, T extends 'int' | 'uuid'>(name: C, type: T) => ({ op: 'column', table: 'events', column: name, type }) as const;

/** The leaderboard also shows quantiles, and ranks by one; and another view tells how many users there were. */
function withBuckets(pipeline: Pipeline): Pipeline {
  const leaderboard = pipeline.views['leaderboard']!;
  const seconds = scaled(column('duration_ms', 'int'), 3);
  return {
    ...pipeline,
    views: {
      ...pipeline.views,
      leaderboard: { ...leaderboard, measures: { ...leaderboard.measures, median: quantile(seconds, 0.5), p99: quantile(seconds, 0.99) }, rank: { by: 'p99', top: 10 } },
      audience: { ...leaderboard, measures: { users: distinct(column('user_id', 'uuid')) }, rank: { by: 'users', top: 10 } },
    },
    sinks: { ...pipeline.sinks, audience: { kind: 'postgres-results', view: 'audience', table: 'results.audience' } },
  };
}

const check = ({ checks }: Verification, what: string) => checks.find((each) => each.what === what || each.sink === what)!;

test('I7: quantiles and numbers of distinct values are compared with the source, bucket by bucket, and as they are shown', async () => {
  await using world = await World.open({ changed: withBuckets });
  const before = await world.verify();
  expect(verificationText(before)).toMatch(/everything is equal/);
  const panes = (view: string) => `panes of ${view}, with late ones`;
  expect(check(before, panes('leaderboard')).expected.rows).toBeGreaterThan(500);
  expect(check(before, panes('audience')).expected.rows).toBeGreaterThan(500);

  const spoiled = async (spoil: string, mend: string): Promise<(what: string) => string> => {
    await world.state.query(spoil);
    const found = await world.verify();
    await world.state.query(mend);
    expect(found.equal).toBe(false);
    return (what) => check(found, what).differences.map(differenceText).join('; ');
  };
  // one row too many in a bucket, and all rows of an entry in another bucket
  const [divided, audience] = ['sluice.panes_engagement_leaderboard', 'sluice.panes_engagement_audience'];
  const one = (table: string) => `(pane_ms, key) = (select pane_ms, key from ${table} where count > 0 and key not like ' %' and (pane_ms, key) not in (select pane_ms, key from sluice.late) order by 1, 2 limit 1)`;
  const back = (table: string, kept: string) => `truncate ${table}; insert into ${table} select * from ${kept}; drop table ${kept}`;
  const panesOf = await spoiled(
    `create table kept as select * from ${divided}; create table kept_audience as select * from ${audience}; update ${divided} set count = count + 1 where ${one(divided)}; update ${audience} set key = '7' || key where ${one(audience)}`,
    `${back(divided, 'kept')}; ${back(audience, 'kept_audience')}`,
  );
  expect(panesOf(panes('leaderboard'))).toMatch(/^changed pane_ms=\d+ key='-?\d+ \S+': count is \d+, expected \d+$/);
  expect(panesOf(panes('audience'))).toMatch(/^(missing|extra) .*; (missing|extra) /);
  // what is shown is wrong
  const shownOf = await spoiled('update results.leaderboard set p99 = p99 + 0.001 where rank = 1; update results.audience set users = users + 1 where rank = 1', 'update results.leaderboard set p99 = p99 - 0.001 where rank = 1; update results.audience set users = users - 1 where rank = 1');
  expect([shownOf('table'), shownOf('audience')]).toEqual([expect.stringMatching(/: p99 is /), expect.stringMatching(/: users is /)]);

  // what comes late is folded in, and the panes are then as a snapshot of the source has them
  expect(await world.repair()).toBeGreaterThan(0);
  await world.replay('live');
  expect(verificationText(await world.verify())).toMatch(/everything is equal/);
  const { rows } = await world.state.query<{ types: string }>("select string_agg(column_name || ' ' || data_type || ' ' || is_nullable, ', ' order by column_name) as types from information_schema.columns where table_schema = 'results' and column_name in ('median', 'p99', 'users')");
  expect(rows[0]!.types).toBe('median numeric YES, p99 numeric YES, users bigint NO');
}, 180_000);
