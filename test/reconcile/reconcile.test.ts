import { ScheduleOverlapPolicy } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { followBackfill, signalBackfill, startBackfill } from '../../client/backfills.ts';
import { decideMigration, listMigrations } from '../../client/migrations.ts';
import { pipelineStatuses } from '../../client/pipelines.ts';
import { explainWindow, startReconcile } from '../../client/reconciliations.ts';
import { until } from '../../chaos/until.ts';
import { backfillRequest } from '../../core/backfill.ts';
import { explainedText, explainRequest } from '../../core/explained-window.ts';
import { reconcileRequest, type Compared } from '../../core/reconcile.ts';
import { reconcileText, type ReconcileReport } from '../../core/reconcile-report.ts';
import { differenceText, verificationText } from '../../core/verification.ts';
import { pipelines } from '../../pipelines/index.ts';
import { missWorker } from '../orchestration/killed-worker.ts';
import { Instance } from './instance.ts';

const signal = new AbortController().signal;
const soon = { timeoutMs: 30_000, everyMs: 100, signal };
const minute = 60_000;

let instance: Instance;
beforeAll(async () => {
  instance = await Instance.open();
}, 180_000);
afterAll(() => instance?.[Symbol.asyncDispose](), 60_000);

const source = async (text: string, values: unknown[] = []) => (await instance.source.query<Record<string, string>>(text, values)).rows;
const state = async (text: string, values: unknown[] = []) => (await instance.state.query<Record<string, string>>(text, values)).rows;
const click = (query: string) => instance.clickhouse.command({ query, clickhouse_settings: { mutations_sync: '2' } });
const lines = ({ compared }: Pick<ReconcileReport, 'compared'>) => compared.map(({ sink, what, different }: Compared) => `${sink}: ${what}: ${different}`);
const texts = (report: ReconcileReport, sink: string) => report.compared.filter((each) => each.sink === sink).flatMap(({ differences }) => differences.map(differenceText));
const of = ({ compared }: ReconcileReport, sink: string) => compared.find((each) => each.sink === sink && each.different > 0)!;
/** Its pane, as the range of one window. */
const paneOf = (ms: number) => ({ fromMs: Math.floor(ms / 10_000) * 10_000, toMs: Math.floor(ms / 10_000) * 10_000 + 10_000 });
/** With windows until just now, which those that show the present are made of. */
const upToNow = async () => {
  const toMs = Math.floor((Date.now() - 4_000) / 10_000) * 10_000;
  await instance.closed(toMs);
  return { fromMs: instance.range.fromMs, toMs };
};
/** Of a pipeline whose windows may close so soon that what shows the present is beyond the range by the time. */
async function reconciledToNow(name: string, repair = false): Promise<ReconcileReport> {
  for (;;) {
    const report = await instance.reconcile(name, { range: await upToNow(), repair });
    if (report.compared.some(({ what, windows }) => what.startsWith('newest window') && windows === 1)) return report;
  }
}
async function expectVerified(): Promise<void> {
  for (const name of ['engagement', 'trending']) {
    const verification = await instance.verify(name);
    if (!verification.equal) throw new Error(verificationText(verification));
  }
}

describe('reconcile', () => {
  test('pipelines as they run are equal in every sink, and what cannot be compared is said', async () => {
    // the structure that shows the last ten minutes has something
    await source("insert into engagement_events (content_id, event_type, event_ts, duration_ms) select (select id from content where slug = 'c' || (1 + n % 10)), 'play', now() - n * interval '1 second', n from generate_series(5, 55) n");
    await source("insert into post_views (post_id, viewed_at) select 1 + n % 7, now() - n * interval '1 second' from generate_series(5, 55) n");
    const range = await upToNow();
    const engagement = await instance.reconcile('engagement', { range });
    expect(reconcileText(engagement)).toMatch(/windows compared, all equal\n/);
    expect(lines(engagement)).toEqual([
      'aggregate: panes of top10m, leaderboard, with late ones: 0',
      'enriched: rows of engagement_enriched: 0',
      'external: events: 0',
      'live: members of top_engagement:10min: 0',
      'leaderboard: newest window in leaderboard: 0',
    ]);
    const panes = (range.toMs - range.fromMs) / 10_000;
    expect(engagement.compared.map(({ windows }) => windows)).toEqual([panes, panes, 0, 1, 1]);
    expect(engagement.compared[2]!.note).toMatch(/^not comparable without its receiver/);
    expect(engagement.rows).toBeGreaterThan(4_000);
    const trending = await reconciledToNow('trending');
    expect(lines(trending)).toEqual(['aggregate: panes of trending, with late ones: 0', 'posts: windows in results.trending_posts: 0', 'dashboard: newest window in trending:top: 0']);
    expect(trending).toMatchObject({ state: 'equal', problem: null, left: [] });
    // nothing of it is left behind
    expect(await state("select rebuilding, (select count(*) from sluice.kept_change) as kept from sluice.aggregate where exists (select from jsonb_array_elements(rebuilding) each where each ? 'compares')")).toEqual([]);
    expect(await source("select slot_name from pg_replication_slots where slot_name like 'sluice_verify%' and database = current_database()")).toEqual([]);
  }, 120_000);

  test('a row altered, one lost and one added in ClickHouse, and a pane likewise, are named exactly, and repaired', async () => {
    const rows = await source('select id, extract(epoch from event_ts) * 1000 as ms, duration_ms, content_id from engagement_events where event_ts < to_timestamp($1 / 1000.0) order by event_ts offset 100 limit 3000', [instance.range.toMs]);
    const [altered, lost, extra] = [rows[0]!, rows[900]!, rows[2000]!];
    const click3 = [`ALTER TABLE engagement_enriched UPDATE duration_ms = 123456 WHERE id = ${altered['id']}`, `ALTER TABLE engagement_enriched DELETE WHERE id = ${lost['id']}`];
    for (const each of click3) await click(each);
    const columns = (await (await instance.clickhouse.query({ query: "SELECT name FROM system.columns WHERE table = 'engagement_enriched' AND database = currentDatabase()", format: 'JSONEachRow' })).json<{ name: string }>()).map(({ name }) => name);
    await click(`INSERT INTO engagement_enriched (${columns.join(', ')}) SELECT ${columns.map((name) => (name === 'id' ? '77777777' : name)).join(', ')} FROM engagement_enriched FINAL WHERE id = ${extra['id']}`);
    const [paneMs, goneMs, nobodyMs] = [altered, lost, extra].map((row) => paneOf(Number(row['ms'])).fromMs);
    const table = 'sluice.panes_engagement_top10m';
    expect((await state(`update ${table} set seconds = seconds + 5000 where pane_ms = $1 and key = $2 returning key`, [paneMs, altered['content_id']])).length).toBe(1);
    expect((await state(`delete from ${table} where pane_ms = $1 and key = $2 returning key`, [goneMs, lost['content_id']])).length).toBe(1);
    await state(`insert into ${table} select $1::bigint, 'nobody', 0, 0, 0, 0, 7`, [nobodyMs]);

    const { range } = instance;
    const found = await instance.reconcile('engagement', { range });
    expect(found.state).toBe('different');
    expect(texts(found, 'enriched').sort()).toEqual([
      `changed id=${altered['id']}: duration_ms is 123456, expected ${altered['duration_ms']}`,
      expect.stringMatching('^extra id=77777777: '),
      expect.stringMatching(`^missing id=${lost['id']}: expected `),
    ]);
    expect(of(found, 'enriched')).toMatchObject({ different: 3, differing: [altered, lost, extra].map((row) => paneOf(Number(row['ms']))) });
    expect(texts(found, 'aggregate').sort()).toEqual([
      expect.stringMatching(`^changed pane_ms=${paneMs} key=${altered['content_id']}: seconds is `),
      expect.stringMatching(`^extra pane_ms=${nobodyMs} key=nobody: `),
      expect.stringMatching(`^missing pane_ms=${goneMs} key=${lost['content_id']}: expected `),
    ]);
    expect(of(found, 'aggregate').differing).toEqual([paneMs, goneMs, nobodyMs].map((ms) => paneOf(ms!)));
    expect(reconcileText(found)).toMatch(/To repair it: \.\/sluice reconcile engagement --from \S+ --to \S+ --repair$/);

    const explained = await explainWindow(instance.config, explainRequest(pipelines['engagement']!, paneMs! + 10_000, 'leaderboard', Date.now()));
    expect(explainedText(explained)).toMatch(new RegExp(`DIFFERENT[^]*aggregate +panes: keys=[^]*changed pane_ms=${paneMs} key=${altered['content_id']}: seconds is [^]*To repair it: ./sluice reconcile engagement --from`));

    const repaired = await instance.reconcile('engagement', { range, repair: true });
    expect(reconcileText(repaired)).toMatch(/differed, and were repaired/);
    expect(repaired).toMatchObject({ state: 'repaired', failed: [] });
    expect(repaired.repaired).toHaveLength(2);
    expect(await instance.reconcile('engagement', { range })).toMatchObject({ state: 'equal' });
  }, 180_000);

  test('rows of a results table whose panes are right are said anew: altered, lost, added, and of a window that never was', async () => {
    const results = 'results.trending_posts';
    const windows = await state(`select window_end, (extract(epoch from window_end) * 1000)::bigint as ms from ${results} where window_end > to_timestamp($1 / 1000.0) and window_end <= to_timestamp($2 / 1000.0) group by 1, 2 order by 1`, [instance.range.fromMs, instance.range.toMs]);
    const [altered, lost, extra] = [windows[5]!, windows[30]!, windows[60]!];
    await state(`update ${results} set views = views + 1 where window_end = $1 and rank = 1`, [altered['window_end']]);
    await state(`delete from ${results} where window_end = $1`, [lost['window_end']]);
    await state(`insert into ${results} select window_start, window_end, 11, post_id, title, views, revision, final from ${results} where window_end = $1 and rank = 1`, [extra['window_end']]);
    // nothing was viewed then
    const never = instance.range.toMs + 30_000;
    await state(`insert into ${results} select to_timestamp($2 / 1000.0), to_timestamp($3 / 1000.0), rank, post_id, title, views, revision, final from ${results} where window_end = $1`, [extra['window_end'], never - 10_000, never]);

    const range = { fromMs: instance.range.fromMs, toMs: instance.range.toMs + minute };
    const found = await instance.reconcile('trending', { range });
    expect(of(found, 'posts')).toMatchObject({ different: 4, differing: [altered, lost, extra].map(({ ms }) => ({ fromMs: Number(ms) - 10_000, toMs: Number(ms) })).concat([{ fromMs: never - 10_000, toMs: never }]) });
    expect(texts(found, 'posts')).toEqual(expect.arrayContaining([expect.stringMatching(/rank=1: views is \d+, expected \d+$/), expect.stringMatching(/^missing window_end=/), expect.stringMatching(/^extra window_end=.* rank=11: /)]));
    expect(found.compared.filter(({ different }) => different > 0)).toHaveLength(1);

    const explained = await explainWindow(instance.config, explainRequest(pipelines['trending']!, Number(altered['ms']), undefined, Date.now()));
    expect(explained.compared.filter(({ different }) => different > 0).map(({ sink, differing }) => [sink, differing])).toEqual([['posts', [{ fromMs: Number(altered['ms']) - 10_000, toMs: Number(altered['ms']) }]]]);

    expect(await instance.reconcile('trending', { range, repair: true })).toMatchObject({ state: 'repaired', failed: [], repaired: [expect.stringMatching(/^posts, windows in results\.trending_posts: 4 windows/)] });
    expect(await instance.reconcile('trending', { range })).toMatchObject({ state: 'equal' });
  }, 180_000);

  test('in Redis a member altered, one lost, one added and a field, and ranks of the newest window, are named and made anew', async () => {
    const key = 'top_engagement:10min';
    // members of which no pane is over before the end: the structure itself would put them right
    await source("insert into content (slug, title, content_type, length_seconds, publish_ts) select 'new' || n, 'New ' || n, 'podcast', 60, now() from generate_series(1, 3) n");
    await source("insert into engagement_events (content_id, event_type, event_ts, duration_ms) select id, 'play', now() - n * interval '1 second', 900000 from content, generate_series(20, 55) n where slug like 'new%'");
    const fresh = (await source("select id from content where slug like 'new%' order by slug")).map(({ id }) => id!);
    const [altered, lost, field] = fresh as [string, string, string];
    await until('all of them to be shown', async () => (await instance.redis.zmscore(key, ...fresh)).every((score) => Number(score) >= 36), soon);
    const range = await upToNow();
    await instance.redis.zincrby(key, 3, altered);
    await instance.redis.zrem(key, lost);
    await instance.redis.zadd(key, 5, 'nobody');
    await instance.redis.hincrby(`{${key}}:content:${field}`, 'plays', 2);

    const found = await instance.reconcile('engagement', { range });
    expect(found.compared.filter(({ different }) => different > 0).map(({ sink }) => sink)).toEqual(['live']);
    expect(texts(found, 'live').sort()).toEqual([
      expect.stringMatching(`^changed key=(${altered}: score is|${field}: plays is)`),
      expect.stringMatching(`^changed key=(${altered}: score is|${field}: plays is)`),
      expect.stringMatching('^extra key=nobody: score=5'),
      expect.stringMatching(`^missing key=${lost}: expected score=`),
    ]);
    expect(await instance.reconcile('engagement', { range, repair: true })).toMatchObject({ state: 'repaired', failed: [] });

    const shownNow = async () => JSON.stringify(await instance.redis.hgetall('{trending:top}:window'));
    const [member] = (await instance.redis.zrange('trending:top', '0', '0')) as [string];
    let shown!: ReconcileReport;
    await until('the same window to be shown all the time', async () => {
      const before = await shownNow();
      await instance.redis.zincrby('trending:top', 1, member);
      shown = await reconciledToNow('trending');
      return (await shownNow()) === before;
    }, soon);
    expect(lines(shown).filter((line) => !line.endsWith(': 0'))).toEqual(['dashboard: newest window in trending:top: 1']);
    expect(texts(shown, 'dashboard')).toEqual([expect.stringMatching(`^changed key=${member}: score is `)]);
    expect(await reconciledToNow('trending', true)).toMatchObject({ state: 'repaired', failed: [] });
    await expectVerified();
  }, 180_000);

  test('a row whose version is above the stream is found, and that no backfill mends it is said', async () => {
    const [row] = await source('select id from engagement_events where event_ts < to_timestamp($1 / 1000.0) order by event_ts offset 700 limit 1', [instance.range.toMs]);
    const columns = (await (await instance.clickhouse.query({ query: "SELECT name FROM system.columns WHERE table = 'engagement_enriched' AND database = currentDatabase()", format: 'JSONEachRow' })).json<{ name: string }>()).map(({ name }) => name);
    const values = columns.map((name) => (name === '_position' ? `reinterpretAsUInt128(unhex('${'ff'.repeat(16)}'))` : name === 'device' ? "'forged'" : name));
    await click(`INSERT INTO engagement_enriched (${columns.join(', ')}) SELECT ${values.join(', ')} FROM engagement_enriched FINAL WHERE id = ${row!['id']}`);
    const report = await instance.reconcile('engagement', { range: instance.range, repair: true });
    expect(report).toMatchObject({ state: 'different', repaired: [], failed: [expect.stringMatching(new RegExp(`^enriched, .* still, changed id=${row!['id']}: device is forged, expected phone\\. A row whose version is above the stream has to be deleted there by hand, and repaired then$`))] });
    // ClickHouse may have merged what the backfill wrote into it
    await click('OPTIMIZE TABLE engagement_enriched FINAL');
    await click(`ALTER TABLE engagement_enriched DELETE WHERE device = 'forged'`);
    expect(await instance.reconcile('engagement', { range: instance.range, repair: true })).toMatchObject({ state: 'repaired' });
  }, 120_000);

  test('one whose worker is killed goes on with another, and compares nothing twice', async () => {
    const { range } = instance;
    const request = { ...reconcileRequest(pipelines['engagement']!, range, Date.now()), rowsPerSecond: 1_500 };
    const { workflowId } = await startReconcile(instance.config, request);
    const handle = instance.temporal.workflow.getHandle(workflowId);
    const progress = async () => {
      const { raw } = await handle.describe();
      const details = raw.pendingActivities?.[0]?.heartbeatDetails?.payloads?.[0]?.data;
      return details ? (JSON.parse(Buffer.from(details).toString('utf8')) as { progress: { rows: number; left: readonly unknown[] } }).progress : undefined;
    };
    await until('some of it to be compared', async () => ((await progress())?.rows ?? 0) > 500, soon);
    await instance.killWorker();
    const before = await progress();
    await missWorker(instance.temporal, workflowId, 'pipeline/engagement');
    instance.startWorker();
    const report = (await handle.result()) as ReconcileReport;
    expect(report).toMatchObject({ state: 'equal', left: [], problem: null });
    const panes = (range.toMs - range.fromMs) / 10_000;
    expect(report.compared.filter(({ windows }) => windows > 1).map(({ windows }) => windows)).toEqual([panes, panes]);
    const [{ count }] = (await source('select count(*) from engagement_events where event_ts >= to_timestamp($1 / 1000.0) and event_ts < to_timestamp($2 / 1000.0)', [range.fromMs, range.toMs])) as [{ count: string }];
    expect(before!.rows).toBeLessThan(Number(count));
    expect(report.rows).toBe(Number(count));
  }, 120_000);

  test('a range that is still open, is not kept, or is being computed is refused with what to ask for', async () => {
    const toMs = Date.now();
    await expect(instance.reconcile('engagement', { range: { fromMs: toMs - minute, toMs } })).rejects.toThrow(/where windows of engagement are still open[^]*Ask for --to/);
    await expect(instance.reconcile('engagement', { range: { fromMs: toMs - 30 * 24 * 60 * minute, toMs: toMs - minute } })).rejects.toThrow(/are kept from .* on, and the range begins at/);
    const { workflowId } = await startBackfill(instance.config, { ...backfillRequest(pipelines['engagement']!, { ...instance.range, views: ['leaderboard'] }, Date.now()), chunkRows: 100, rowsPerSecond: 200 });
    await until('its panes to be marked', async () => (await state("select from sluice.aggregate where pipeline = 'engagement' and rebuilding @> '[{\"sets\": [\"top10m\"]}]'")).length > 0, soon);
    await expect(instance.reconcile('engagement', { range: instance.range })).rejects.toThrow(/^\S+ to \S+ of engagement is being computed by another backfill, which overlaps\. Wait for it: /);
    await signalBackfill(instance.config, workflowId, 'cancel');
    await followBackfill(instance.config, workflowId, () => {});
    expect(await instance.reconcile('engagement', { range: instance.range })).toMatchObject({ state: 'equal' });
  }, 120_000);

  test('a backfill that begins beside it takes its range over, and that is no difference', async () => {
    const { workflowId } = await startReconcile(instance.config, { ...reconcileRequest(pipelines['engagement']!, instance.range, Date.now()), rowsPerSecond: 700 });
    await until('something to be compared', async () => (await state("select from sluice.aggregate where rebuilding @> '[{\"sets\": [\"top10m\"]}]'")).length > 0, soon);
    const backfill = await startBackfill(instance.config, { ...backfillRequest(pipelines['engagement']!, { ...instance.range, views: ['leaderboard'] }, Date.now()), chunkRows: 100, rowsPerSecond: 300 });
    const report = (await instance.temporal.workflow.getHandle(workflowId).result()) as ReconcileReport;
    expect(report.compared.reduce((sum, { different }) => sum + different, 0)).toBe(0);
    expect(report).toMatchObject({ state: 'incomplete', left: [] });
    expect(reconcileText(report)).toMatch(/was not compared: \S+ to \S+ of engagement is being computed by another backfill/);
    await signalBackfill(instance.config, backfill.workflowId, 'cancel');
    await followBackfill(instance.config, backfill.workflowId, () => {});
  }, 120_000);

  test('a sink that cannot be compared is said, and the others are compared all the same', async () => {
    const key = 'top_engagement:10min';
    const pipeline = instance.temporal.workflow.getHandle('pipeline/engagement');
    await pipeline.signal('pauseLane', 'live');
    await until('the lane to be paused', async () => (await pipelineStatuses(instance.config, ['engagement']))[0]!.lanes.some(({ name, state: now }) => name === 'live' && now === 'paused'), soon);
    await instance.redis.rename(key, `{${key}}:aside`);
    await instance.redis.set(key, 'of somebody else');
    const report = await instance.reconcile('engagement', { range: instance.range });
    await instance.redis.rename(`{${key}}:aside`, key);
    await pipeline.signal('resumeLane', 'live');
    expect(report.state).toBe('incomplete');
    expect(report.compared.find(({ sink }) => sink === 'live')).toMatchObject({ windows: 0, problem: `Redis, key ${key}: it is a string, not a sorted set. Somebody else uses that key: choose another in the definition, or DEL it.` });
    const panes = (instance.range.toMs - instance.range.fromMs) / 10_000;
    for (const sink of ['aggregate', 'enriched']) expect(report.compared.find((each) => each.sink === sink)).toMatchObject({ windows: panes, different: 0 });
  }, 120_000);

  test('it begins by itself each hour, goes on from where the last one came to, and is shown in status and metrics', async () => {
    const schedule = instance.temporal.schedule.getHandle('reconcile/engagement');
    const { spec, policies } = await schedule.describe();
    expect(spec.intervals).toEqual([expect.objectContaining({ every: 3_600_000 })]);
    expect(policies.overlap).toBe('SKIP');
    const reports: ReconcileReport[] = [];
    for (const times of [1, 2]) {
      // so that something is due
      if (reports[0]) await instance.closed(reports[0].next!.closedMs + 10_000);
      // as it begins by itself; one that may overlap others is handed nothing
      await schedule.trigger(ScheduleOverlapPolicy.SKIP);
      await until('it to begin', async () => (await schedule.describe()).info.recentActions.length >= times, soon);
      const { action } = (await schedule.describe()).info.recentActions.at(-1)!;
      expect(action.workflow.workflowId).toMatch(/^reconcile\/engagement\/scheduled-2/);
      reports.push((await instance.temporal.workflow.getHandle(action.workflow.workflowId).result()) as ReconcileReport);
    }
    const [first, second] = reports as [ReconcileReport, ReconcileReport];
    expect(first.state).toBe('equal');
    expect(second.ranges[0]?.fromMs).toBe(first.next!.closedMs);
    const [status] = await pipelineStatuses(instance.config, ['engagement']);
    expect(status!.reconciled).toMatchObject({ state: second.state, ended: second.ended, sentence: expect.stringContaining('windows compared, all equal') as string, workflowId: expect.stringContaining('reconcile/engagement/scheduled-') as string });
    const metrics = await (await fetch(`http://127.0.0.1:${instance.config.workerPort}/metrics`)).text();
    expect(metrics).toMatch(/sluice_reconcile_windows\{pipeline="engagement",sink="enriched"\} \d+/);
    expect(metrics).toMatch(/sluice_reconcile_windows_different\{pipeline="engagement",sink="live"\} 0/);
    expect(Number(/sluice_reconcile_last_run_seconds\{pipeline="engagement"\} ([\d.]+)/.exec(metrics)![1])).toBeCloseTo(Date.parse(second.ended) / 1000, 0);
  }, 120_000);

  test('while events, updates, deletes and late events go on, nothing that is under way is taken for a difference', async () => {
    const end = new AbortController();
    const loading = instance.load(250, end.signal);
    const reports: ReconcileReport[] = [];
    try {
      for (let round = 0; round < 4; round++) {
        const toMs = Math.floor((Date.now() - 4_000) / 10_000) * 10_000;
        await instance.closed(toMs);
        for (const name of ['engagement', 'trending']) reports.push(await instance.reconcile(name, { range: { fromMs: toMs - 6 * minute, toMs } }));
      }
    } finally {
      end.abort();
      await loading;
    }
    // the pipeline's own repair may have come to some of it
    const others = reports.filter(({ state: found, compared }) => found !== 'equal' && !(found === 'incomplete' && compared.every(({ problem }) => problem === undefined || /is being computed by another backfill|a backfill computes panes of this time/.test(problem))));
    expect(others.map(reconcileText)).toEqual([]);
    expect(reports.filter(({ state: found }) => found === 'equal').length).toBeGreaterThan(reports.length / 2);
    const [{ late }] = (await state("select count(*) as late from sluice.late where reason = 'late'")) as [{ late: string }];
    expect(Number(late)).toBeGreaterThan(50);
    expect(Math.min(...reports.map(({ rows }) => rows))).toBeGreaterThan(100);
    await expectVerified();
  }, 240_000);

  test('rows with what a rejected change took from the source are told to be beyond repair alone, with what writes them', async () => {
    const newest = async () => (await listMigrations(instance.config, 'engagement'))[0]?.state;
    await source('alter table engagement_events drop column device');
    await until('the migration to wait', async () => (await newest()) === 'waiting', soon);
    await decideMigration(instance.config, 'engagement', 'reject');
    await until('the pipeline to go on', async () => (await newest()) === 'done' && (await pipelineStatuses(instance.config, ['engagement']))[0]!.capture?.state === 'running', soon);
    const { range } = instance;
    expect(await instance.reconcile('engagement', { range })).toMatchObject({ state: 'equal' });

    const [gone] = await source('select id from engagement_events where event_ts < to_timestamp($1 / 1000.0) order by event_ts offset 100 limit 1', [range.toMs]);
    await click(`ALTER TABLE engagement_enriched DELETE WHERE id = ${gone!['id']}`);
    const why = /they cannot be repaired alone: the source of engagement has no more what device had before, [^\n]*: \.\/sluice recover engagement/;
    const found = await instance.reconcile('engagement', { range });
    expect(of(found, 'enriched')).toMatchObject({ different: 1, mend: { tag: 'none' }, note: expect.stringMatching(why) as string });
    expect(reconcileText(found)).not.toContain('To repair');
    const repaired = await instance.reconcile('engagement', { range, repair: true });
    expect(repaired).toMatchObject({ state: 'different', repaired: [], failed: [expect.stringMatching(why)] });
  }, 120_000);
});
