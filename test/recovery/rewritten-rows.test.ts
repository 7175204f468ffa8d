import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngagementWorkload } from '../../bench/load/engagement.ts';
import { runLoad } from '../../bench/load/run.ts';
import { followBootstrap, startBootstrap } from '../../client/bootstrap.ts';
import { pipelineStatuses } from '../../client/pipelines.ts';
import { verifyPipeline } from '../../client/verify.ts';
import { openSegmentLog } from '../../connectors/spool/open-segment-log.ts';
import type { Position } from '../../core/position.ts';
import type { RecoveryStatus } from '../../core/recovery.ts';
import { verificationText } from '../../core/verification.ts';
import { until } from '../capture/captured-source.ts';
import { World } from '../lifecycle/world.ts';

/** A destination lacks rows that the spool does not have any more; the stream and all other destinations have everything. */
describe('the rows of one destination are written again', { timeout: 180_000 }, () => {
  let world: World;

  beforeAll(async () => {
    world = await World.open();
    await world.source.query(`insert into content (slug, title, content_type, length_seconds, publish_ts) select 'c' || n, 'Content ' || n, 'podcast', 60 * n, now() from generate_series(1, 20) n`);
    await world.source.query(`insert into engagement_events (content_id, event_type, event_ts, duration_ms, device)
      select (select id from content order by id offset n % 20 limit 1), (array['play','pause','finish','click'])[1 + n % 4], now() - (n * 17 % 7200) * interval '1 second', n, 'phone' from generate_series(1, 4000) n`);
    // that have no time, and one that no view takes
    await world.source.query(`insert into engagement_events (content_id, event_type, event_ts, duration_ms) select id, 'play', t::timestamptz, 7 from (select id from content order by id limit 1) c, (values ('infinity'), ('1800-01-01'), ('2200-01-01')) times (t)`);
    await world.source.query('analyze');
    await world.startWorker();
    await until(async () => startBootstrap(world.config, { pipeline: 'engagement', dryRun: true }).then(() => true, () => false), 'the namespace is known', 60_000);
    const { workflowId } = await startBootstrap(world.config, { pipeline: 'engagement' });
    const { state, error } = await followBootstrap(world.config, workflowId, () => {});
    if (state !== 'done') throw new Error(`apply ${state}: ${error}`);
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose]());

  const click = (query: string) => world.clickhouse.command({ query, clickhouse_settings: { mutations_sync: '2' } });
  const asked = async <T>(query: string) => (await world.clickhouse.query({ query, format: 'JSONEachRow' })).json<T>();
  const lane = async (name: string) => (await pipelineStatuses(world.config)).find((each) => each.name === 'engagement')?.lanes.find((each) => each.name === name);
  const epoch = async () => (await world.state.query<{ epoch: string }>("select epoch from sluice.shard where pipeline = 'engagement'")).rows[0]!.epoch;
  const parked = (sentence: RegExp) => until(async () => sentence.test((await lane('enriched'))?.error ?? ''), 'the lane to park', 60_000);
  const rowsOfSource = async () => Number((await world.source.query<{ rows: string }>('select (select count(*) from engagement_events) + (select count(*) from content) as rows')).rows[0]!.rows);

  /** Inserts, updates, deletes and renames, until it is disposed. */
  function written(): AsyncDisposable {
    const end = new AbortController();
    const running = runLoad({ url: world.config.sourceUrl, workload: new EngagementWorkload(5), load: { rate: 200, burst: 0, updates: 0.3, deletes: 0.2, late: 0.1, durationMs: undefined }, signal: end.signal, reportMs: 60_000, onReport: () => {} });
    return {
      async [Symbol.asyncDispose]() {
        end.abort();
        await running;
      },
    };
  }

  async function recovered(...args: string[]): Promise<RecoveryStatus> {
    const { code, stdout, stderr } = await world.sluice('recover', 'engagement', ...args, '--yes', '--json');
    if (code !== 0) throw new Error(`${stdout}${stderr}`);
    return JSON.parse(stdout) as RecoveryStatus;
  }

  async function expectVerified(): Promise<void> {
    const verification = await verifyPipeline(world.config, 'engagement');
    if (!verification.equal) throw new Error(verificationText(verification));
  }

  test('one that was dropped, while the source is written to and the worker is killed in the middle', async () => {
    const before = await epoch();
    {
      await using _ = written();
      await click('DROP TABLE engagement_enriched SYNC');
      await parked(/table engagement_enriched|has no fence/);
      const dry = await world.sluice('recover', 'engagement', '--dry-run');
      expect(dry).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Lane enriched: its destination has no fence, though the pipeline was loaded\.\nAbout [\d,]+ rows are read from the source\.\nAll rows of enriched are written again/) as string });
      const live = (await lane('live'))!.fence!;

      await world.killOrders.arm('load/chunk', { passes: 1 });
      const recovering = recovered();
      await world.killOrders.struck(new AbortController().signal);
      await world.workerEnded();
      const [{ rows }] = (await asked<{ rows: string | number }>('SELECT count() AS rows FROM engagement_enriched')) as [{ rows: string | number }];
      expect(Number(rows)).toBeGreaterThan(0);
      await world.startWorker();

      const status = await recovering;
      expect(status).toMatchObject({ state: 'done', error: null, plan: { lanes: ['enriched'] } });
      expect(status.rows).toBeGreaterThan(4_000);
      await until(async () => (await lane('live'))!.fence! > live, 'the others to have gone on');
    }
    expect(await epoch()).toBe(before);
    await expectVerified();
  });

  test('one that was put back to before the spool begins, of which rows were deleted and updated since', async () => {
    const [found] = await asked<{ fence: string }>("SELECT lower(hex(max(position))) AS fence FROM sluice_fence WHERE lane = 'enriched'");
    const fence = found!.fence.padStart(32, '0') as Position;
    const at = `toUInt128('${BigInt(`0x${fence}`)}')`;
    await world.source.query('delete from engagement_events where id % 7 = 0');
    await world.source.query("update engagement_events set event_type = 'finish', duration_ms = duration_ms + 1 where id % 5 = 0");
    await world.source.query("update content set title = title || '!' where slug like 'c1%'");
    await expectVerified();
    // or the spool would be given up, and the stream begin again at that place
    await until(async () => (await world.state.query("select from sluice.shard where pipeline = 'engagement' and confirmed_to > $1", [fence])).rowCount === 1, 'the source to be told that it may forget more', 60_000);
    await world.workerEnded('SIGTERM');
    await click(`ALTER TABLE engagement_enriched DELETE WHERE _position > ${at}`);
    const [{ target }] = (await asked<{ target: string }>("SELECT target FROM sluice_fence WHERE lane = 'enriched' ORDER BY position DESC LIMIT 1")) as [{ target: string }];
    await click('TRUNCATE TABLE sluice_fence');
    await world.clickhouse.insert({ table: 'sluice_fence', values: [{ pipeline: 'engagement', lane: 'enriched', target, position: BigInt(`0x${fence}`).toString() }], format: 'JSONEachRow' });
    const log = await openSegmentLog({ directory: join(world.config.dataDir, 'spool'), shard: 'engagement' });
    const tail = (await log.tail())!;
    await log.trim(tail.from, -1);
    expect((await log.oldest())!.from > fence).toBe(true);
    await world.startWorker();

    await parked(/^Lane enriched: its destination is at position [0-9a-f]{32}, and the spool begins at [0-9a-f]{32}.*have what it lacks read from the source again: \.\/sluice recover engagement$/);
    await using _ = written();
    const status = await recovered();
    expect(status).toMatchObject({ state: 'done', plan: { lanes: ['enriched'], gap: expect.stringMatching(/what is between was trimmed \(spoolKeep\)\.$/) as string } });
    expect(status.rows).toBeGreaterThan(3_000);
    await expectVerified();
  });

  test('one that lacks nothing that anybody knows of, as it is asked for, while its lane runs', async () => {
    await click('ALTER TABLE engagement_enriched DELETE WHERE id % 3 = 0');
    await click('ALTER TABLE engagement_enriched UPDATE duration_ms = 123456 WHERE id % 11 = 1');
    expect((await verifyPipeline(world.config, 'engagement')).equal).toBe(false);
    {
      await using _ = written();
      expect(await recovered('--lane', 'enriched')).toMatchObject({ state: 'done', plan: { gap: null, lanes: ['enriched'] } });
      await expectVerified();
    }
    await expectVerified();
    expect((await recovered('--lane', 'enriched')).rows).toBe(await rowsOfSource());
  });

  test('a slot that was dropped, with 10,000 changes of old and new rows and of a dimension in the gap: it says all that is known of it, and loads everything', async () => {
    const dropped = async () => {
      await world.source.query("select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = 'sluice_engagement'");
      return world.source.query("select pg_drop_replication_slot('sluice_engagement')").then(() => true, () => false);
    };
    await until(dropped, 'the slot to be dropped');
    await world.source.query("insert into engagement_events (content_id, event_type, event_ts, duration_ms) select (select id from content order by id limit 1), 'play', now() - n * interval '1 second', n from generate_series(1, 6000) n");
    await world.source.query("update engagement_events set event_type = 'finish' where id in (select id from engagement_events order by id limit 2000)");
    await world.source.query('delete from engagement_events where id in (select id from engagement_events order by id offset 1000 limit 1000)');
    await world.source.query('delete from engagement_events where id in (select id from engagement_events order by id desc limit 1000)');
    await world.source.query("update content set title = 'of the gap', content_type = 'video' where slug like 'c2%'");
    const before = Number(await epoch());
    await until(async () => (await pipelineStatuses(world.config)).some(({ name, capture }) => name === 'engagement' && capture?.state === 'parked'), 'the capture to park', 60_000);
    const dry = await world.sluice('recover', 'engagement', '--dry-run');
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringMatching(/^The replication slot sluice_engagement of pipeline engagement is gone: .* The gap begins behind position [0-9a-f]{32} \(WAL position [0-9A-F/]+, committed 20.*Z\) and goes up to the source's present WAL position .*\nAbout [\d,]+ rows are read from the source\.\n.*\nSo far \(WAL position\) destinations have the stream: aggregate [0-9A-F/]+, enriched [0-9A-F/]+, live [0-9A-F/]+, external [0-9A-F/]+; the spool has it up to [0-9A-F/]+\.\nNobody can know what was inserted, updated or deleted in between/) as string });
    expect(Number(await epoch())).toBe(before);
    expect(await recovered()).toMatchObject({ state: 'done', error: null });
    expect(Number(await epoch())).toBeGreaterThan(before);
    await expectVerified();
  });

  test('what cannot be asked for is refused with a sentence', async () => {
    expect(await world.sluice('recover', 'engagement', '--lane', 'live', '--yes')).toMatchObject({ code: 1, stderr: expect.stringContaining('live of engagement cannot be written again alone') as string });
  });
});
