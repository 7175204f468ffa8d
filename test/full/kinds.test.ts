import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startBackfill } from '../../client/backfills.ts';
import { decideMigration, listMigrations, type ListedMigration } from '../../client/migrations.ts';
import { type PipelineStatus, pausePipeline, pipelineStatuses, resumePipeline } from '../../client/pipelines.ts';
import { backfillRequest } from '../../core/backfill.ts';
import engagement from '../../pipelines/engagement.ts';
import { until } from '../capture/captured-source.ts';
import { World } from '../lifecycle/world.ts';

const hourMs = 3_600_000;

describe('DDL of each kind', { timeout: 120_000 }, () => {
  let world: World;

  beforeAll(async () => {
    world = await World.open();
    await world.fill();
    await world.source.query("insert into posts (title) select 'Post ' || g from generate_series(1, 20) g");
    await world.startWorker();
    for (const name of ['engagement', 'trending']) await until(async () => (await world.sluice('apply', name)).code === 0, `${name} streams`, 60_000);
  }, 120_000);
  afterAll(() => world?.[Symbol.asyncDispose]());

  /** Rows, also of the time that a backfill computes; some are changed or deleted at once. */
  function rows(more: Readonly<Record<string, string>> = {}, key = 'id'): string {
    const columns = { content_id: '(select id from content limit 1)', event_type: "'play'", event_ts: "now() - g * interval '50 s'", ...more };
    return `insert into engagement_events (${Object.keys(columns).join()}) select ${Object.values(columns).join()} from generate_series(1, 100) g;
      update engagement_events set event_type = 'finish' where ${key} % 13 = 0; delete from engagement_events where ${key} % 17 = 0`;
  }

  const events = 'alter table engagement_events';
  const there = [
    `${events} add column more text`,
    rows({ more: "'x'", device: "'a'" }),
    `${events} alter column duration_ms type bigint`,
    rows({ duration_ms: '2000' }),
    `${events} rename column device to gadget`,
    rows({ gadget: "'b'" }),
    // which no column has in the end
    `${events} alter column duration_ms type smallint`,
    rows({ duration_ms: '3000' }),
    `${events} alter column user_id type text`,
    rows({ user_id: 'gen_random_uuid()::text' }),
    `${events} rename column id to event_no`,
    rows({ gadget: "'c'" }, 'event_no'),
    `${events} drop column raw_payload`,
    rows({ gadget: "'d'" }, 'event_no'),
    'alter table content alter column length_seconds type bigint',
    'update content set length_seconds = 5000000000',
  ];
  const andBack = [
    `${events} add column still_more text`,
    rows({ still_more: "'x'", gadget: "'e'" }, 'event_no'),
    `${events} alter column duration_ms type bigint`,
    rows({ duration_ms: '4000' }, 'event_no'),
    `${events} rename column gadget to device`,
    rows({ device: "'f'" }, 'event_no'),
    `${events} alter column duration_ms type integer`,
    rows({ duration_ms: '5000' }, 'event_no'),
    `${events} alter column user_id type uuid using user_id::uuid`,
    rows({ user_id: 'gen_random_uuid()' }, 'event_no'),
    `${events} rename column event_no to id`,
    rows({ device: "'g'" }),
    `${events} drop column device`,
    rows(),
  ];

  /** Approves whatever waits, until the pipeline has followed so many changes; then everything is equal. */
  async function follows(pipeline: string, expected: readonly string[]): Promise<void> {
    let migrations: readonly ListedMigration[] = [];
    const changes = () => migrations.flatMap(({ changes: tables }) => tables.flatMap((table) => table.changes.map(({ kind, column }) => `${kind} ${column}`)));
    await until(async () => {
      migrations = await listMigrations(world.config, pipeline);
      for (const { number, state } of migrations) if (state === 'waiting') await decideMigration(world.config, pipeline, 'approve', number);
      const [{ state, capture }] = (await pipelineStatuses(world.config, [pipeline])) as [PipelineStatus];
      return changes().length === expected.length && state === 'running' && capture!.state === 'running';
    }, 'it has followed all of them', 90_000);
    expect(changes().toSorted()).toEqual(expected.toSorted());
    expect(migrations.filter(({ state }) => state !== 'done' && state !== 'unneeded')).toEqual([]);
    expect(await world.unequal(pipeline)).toEqual([]);
  }

  test('in a transaction between its rows, twice in a row, while a backfill goes on', async () => {
    const now = Date.now();
    const { workflowId } = await startBackfill(world.config, backfillRequest(engagement, { fromMs: now - 2 * hourMs, toMs: now - hourMs / 2, chunkRows: 20, rowsPerSecond: 50 }, now));
    await until(async () => (await world.state.query("select from sluice.aggregate where pipeline = 'engagement' and rebuilding <> '[]'")).rowCount === 1, 'the backfill reads');
    for (const statements of [there, andBack]) await world.source.query(`begin; ${statements.join('; ')}; commit`);
    const backfill = world.temporal.workflow.getHandle(workflowId);
    await backfill.executeUpdate<void, [null]>('setSpeed', { args: [null] });
    await follows('engagement', [
      'added more', 'retyped duration_ms', 'renamed device', 'retyped duration_ms', 'retyped user_id', 'renamed id', 'dropped raw_payload', 'retyped length_seconds',
      'added still_more', 'retyped duration_ms', 'renamed gadget', 'retyped duration_ms', 'retyped user_id', 'renamed event_no', 'dropped device',
    ]);
    expect(await backfill.result()).toMatchObject({ state: 'done' });
    expect(await world.unequal('engagement')).toEqual([]);
  });

  test('of what a results table is made of, its time and its labels', async () => {
    const viewed = (time: string) => `insert into post_views (post_id, ${time}) select 1 + g % 20, now() - g * interval '100 ms' from generate_series(1, 200) g; update post_views set post_id = 2 where id % 7 = 0; delete from post_views where id % 11 = 0`;
    await world.source.query(`begin; ${viewed('viewed_at')}; alter table post_views rename viewed_at to seen_at; ${viewed('seen_at')}; alter table posts rename title to heading; update posts set heading = heading || '!';
      alter table post_views rename seen_at to at; ${viewed('at')}; commit`);
    await follows('trending', ['renamed viewed_at', 'renamed title', 'renamed seen_at']);
  });

  async function parked(): Promise<string> {
    let said = '';
    await until(async () => {
      const { capture } = (await pipelineStatuses(world.config, ['engagement']))[0]!;
      said = capture?.error ?? '';
      return capture?.state === 'parked';
    }, 'it parks', 40_000);
    return said;
  }

  test('another key, by which rows are not one for each any more, parks with what mends it', async () => {
    await world.source.query('alter table engagement_events drop constraint engagement_events_pkey; alter table engagement_events add primary key (id, event_ts)');
    await pausePipeline(world.config, 'engagement');
    await resumePipeline(world.config, 'engagement').catch(() => {});
    expect(await parked()).toMatch(/no primary key or unique index on id alone.*ALTER TABLE public\.engagement_events ADD PRIMARY KEY \(id\);/s);
    await world.source.query('alter table engagement_events drop constraint engagement_events_pkey; alter table engagement_events add primary key (id)');
    await resumePipeline(world.config, 'engagement');
    expect(await world.unequal('engagement')).toEqual([]);
  });

  test('a table in the place of another one parks within 30 s, and loaded anew everything is equal', async () => {
    await world.source.query(`alter table engagement_events rename to engagement_before; create table engagement_events (like engagement_before including all); alter table engagement_events replica identity full;
      insert into engagement_events select * from engagement_before where id % 2 = 0`);
    expect(await parked()).toMatch(/public\.engagement_events.*\.\/sluice recover engagement/s);
    expect(await world.sluice('recover', 'engagement', '--yes')).toMatchObject({ code: 0 });
    expect(await world.unequal('engagement')).toEqual([]);
  });
});
