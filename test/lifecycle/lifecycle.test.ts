import { ScheduleNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { followBackfill, signalBackfill, startBackfill } from '../../client/backfills.ts';
import { startBootstrap, followBootstrap } from '../../client/bootstrap.ts';
import { followDestroy, startDestroy } from '../../client/destroy.ts';
import { pipelineStatuses } from '../../client/pipelines.ts';
import { backfillRequest } from '../../core/backfill.ts';
import type { BootstrapStatus } from '../../core/bootstrap.ts';
import { definitionJson, lastingDefinition, writtenDefinition } from '../../core/define/definition-hash.ts';
import { resolve } from '../../core/define/resolve.ts';
import type { DestroyStatus } from '../../core/destroy.ts';
import { reconcileScheduleId, taskQueue } from '../../core/workflow-names.ts';
import { pipelines } from '../../pipelines/index.ts';
import trending from '../../pipelines/trending.ts';
import { until } from '../capture/captured-source.ts';
import { missWorker } from '../orchestration/killed-worker.ts';
import { World, type Found } from './world.ts';

const nothing: Found = { slots: [], publications: [], state: [], results: [], clickhouse: [], fences: [], redis: [], spool: [] };

/** Without what the passing of time takes out of a rolling window, and what is there only while something is sent. */
const lasting = ({ redis, state, ...rest }: Found) => ({ ...rest, redis: redis.filter((key) => !/:(?:pane|content):/.test(key)), state: state.filter((table) => table !== 'http_pending') });

/** A pipeline from its first apply to its last destroy, on real services, by a worker of its own. */
describe('apply and destroy', { timeout: 180_000 }, () => {
  let world: World;

  beforeAll(async () => {
    world = await World.open();
    await world.fill();
    await world.source.query(`insert into posts (title) select 'Post ' || g from generate_series(1, 20) g`);
    await world.source.query(`insert into post_views (post_id, viewed_at) select 1 + g % 20, now() - (g % 3600) * interval '1 second' from generate_series(1, 2000) g`);
    await world.startWorker();
    await until(async () => startBootstrap(world.config, { pipeline: 'engagement', dryRun: true }).then(() => true, () => false), 'the namespace is known', 60_000);
  }, 120_000);
  afterAll(() => world?.[Symbol.asyncDispose]());

  async function applied(pipeline: string, more: { readonly allow?: true } = {}): Promise<BootstrapStatus> {
    const { workflowId } = await startBootstrap(world.config, { pipeline, ...more });
    const status = await followBootstrap(world.config, workflowId, () => {});
    if (status.state !== 'done') throw new Error(`apply ${status.state}: ${status.error}`);
    return status;
  }

  async function destroyed(pipeline: string, keepResults = false): Promise<DestroyStatus> {
    const { workflowId } = await startDestroy(world.config, { pipeline, keepResults });
    return followDestroy(world.config, workflowId, () => {});
  }

  const isScheduled = (pipeline: string) => world.temporal.schedule.getHandle(reconcileScheduleId(pipeline)).describe().then(() => true, (error: unknown) => !(error instanceof ScheduleNotFoundError));

  const shard = async (name: string) => (await world.state.query<{ epoch: string; definition: object }>('select epoch, definition from sluice.shard where pipeline = $1', [name])).rows[0];

  test('from nothing: what is wrong is said with what mends it, and nothing is made', async () => {
    await world.source.query('alter table engagement_events drop constraint engagement_events_pkey');
    const { code, stdout } = await world.sluice('apply', 'engagement');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^engagement cannot run so:\n {2}source: Table public\.engagement_events has no primary key.*\n {4}mend: ALTER TABLE public\.engagement_events ADD PRIMARY KEY \(id\);\nThen type \.\/sluice apply engagement again\.\n$/s);
    expect(await world.found('engagement')).toEqual(nothing);
    await world.source.query('alter table engagement_events add primary key (id)');
  });

  test('from nothing to a stream, which is equal; and once more there is nothing to do', async () => {
    const typed = await world.sluice('apply', 'engagement', '--json');
    const first = JSON.parse(typed.stdout) as BootstrapStatus;
    expect(first).toMatchObject({ state: 'done', error: null });
    // if it takes long enough to be seen, and as far as it was
    const seen = first.said.filter((sentence) => !/^its first load read at least [\d,]+ rows$/.test(sentence));
    expect(seen).toEqual(['nothing of engagement is loaded yet', expect.stringMatching(/^services and tables are as they must be/) as string, 'pipeline/engagement was started', 'it streams: what is written comes through to every destination']);
    await applied('trending');
    await world.writeEvents(500);
    expect(await world.unequal('engagement')).toEqual([]);
    expect((await shard('engagement'))!.definition).toEqual(JSON.parse(definitionJson(lastingDefinition(resolve((await import('../../pipelines/engagement.ts')).default, { SLUICE_EXTERNAL_URL: 'http://a/', SLUICE_EXTERNAL_SECRET: 'whsec_x' })))));

    const again = await applied('engagement');
    expect(again.said).toEqual(['engagement runs already', expect.any(String) as string, 'settings and addresses were taken over', 'it streams: what is written comes through to every destination']);
    expect((await shard('engagement'))!.epoch).toBe('1');
  });

  test('a dry run, and one whom nobody has said yes, show what would go and drop nothing', async () => {
    const before = lasting(await world.found('engagement'));
    const shown = await world.sluice('destroy', 'engagement', '--dry-run');
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^To destroy engagement is to drop:\n {2}replication slot sluice_engagement in the source, for which it keeps .*\n {2}publication sluice_engagement in the source\n {2}table engagement_enriched in ClickHouse, [\d,]+ versions of rows\n {2}keys of top_engagement:10min in Redis, [\d,]+\n {2}keys of leaderboard in Redis, [\d,]+\n {2}in the state database [\d,]+ rows, and sluice\."panes_engagement_top10m"\n {2}spool .*\/spool\/engagement, .*\nand before that to end pipeline\/engagement.*\.\nThese stay:\n {2}the tables of the source \(public\.engagement_events, public\.content\)\n {2}what the receiver of external has got by HTTP\n$/);
    const unasked = await world.sluice('destroy', 'engagement');
    expect(unasked).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Say it with: ./sluice destroy engagement --yes') as string });
    expect(lasting(await world.found('engagement'))).toEqual(before);
  });

  test('a backfill that cannot be is refused with what to ask for', async () => {
    const now = Date.now();
    const { workflowId } = await startBackfill(world.config, backfillRequest(pipelines['engagement']!, { fromMs: now - 3_600_000, toMs: now - 2_400_000, chunkRows: 10, rowsPerSecond: 5 }, now));
    await until(async () => (await world.state.query("select from sluice.aggregate where pipeline = 'engagement' and rebuilding <> '[]'")).rowCount === 1, 'it computes');
    const refused: readonly (readonly [args: string, sentence: RegExp])[] = [
      ['--from 50m --to 2126-01-01', /^The range ends at 2126-01-01T00:00:00\.000Z, which has not come yet\..*: ask for an earlier end\.$/],
      ['--from 20m --to 1s', /where windows of engagement are still open.*\. Ask for --to 20\S+Z or earlier\.$/],
      ['--from 2001-01-01 --to 2001-01-02', /^Windows of engagement are kept from 20\S+Z on, and the range begins at 2001-01-01T00:00:00\.000Z\. Ask for --from 20\S+Z, or /],
      ['--from 10m --to 20m', /^The range begins at \S+Z, which is not before its end/],
      ['--from 30m --to 20m --views leaderboard,nothing', /^Pipeline engagement has no view nothing; it has top10m, leaderboard\.$/],
      ['--from 50m --to 30m', /^\S+ to \S+ of engagement is being computed by another backfill, which overlaps\. Wait for it: \.\/sluice backfill list engagement --wait; or end it: \.\/sluice backfill cancel engagement$/],
    ];
    const said = await Promise.all(refused.map(([args]) => world.sluice('backfill', 'engagement', ...args.split(' '))));
    expect(said.map(({ code, stderr }) => ({ code, said: stderr.trimEnd() }))).toEqual(refused.map(([, sentence]) => ({ code: 2, said: expect.stringMatching(sentence) as string })));
    await signalBackfill(world.config, workflowId, 'cancel');
    expect(await followBackfill(world.config, workflowId, () => {})).toMatchObject({ state: 'cancelled' });
  });

  test('a pipeline that nobody knows', async () => {
    expect(await world.sluice('destroy', 'nobody', '--yes')).toMatchObject({ code: 2, stdout: 'There is no pipeline nobody, neither in pipelines/index.ts nor in the state database. There are engagement, trending.\n' });
  });

  test('destroyed nothing is left of it, and nothing is missing of another; a worker that is killed meanwhile costs nothing', async () => {
    const { workflowId } = await startDestroy(world.config, { pipeline: 'trending', keepResults: false, dryRun: true });
    const { plan } = await followDestroy(world.config, workflowId, () => {});
    expect(plan!.items.map(({ isThere }) => isThere)).not.toContain(false);

    await world.killOrders.arm('destroy/slot');
    const done = world.sluice('destroy', 'engagement', '--yes', '--json');
    for (const next of ['destroy/destination', 'destroy/state', undefined] as const) {
      await world.killOrders.struck(new AbortController().signal);
      await world.workerEnded();
      await missWorker(world.temporal, 'destroy/engagement');
      if (next) await world.killOrders.arm(next);
      if (next) await world.startWorker();
    }
    // it is away for the last time
    expect(await startBootstrap(world.config, { pipeline: 'engagement' }).catch((error: Error) => error.message)).toMatch(/^engagement is being destroyed: see .*destroy.*engagement, and type \.\/sluice apply engagement when that is over\.$/);
    expect(await startDestroy(world.config, { pipeline: 'engagement', keepResults: false }).catch((error: Error) => error.message)).toMatch(/^engagement is being destroyed already/);
    await world.startWorker();
    const status = JSON.parse((await done).stdout) as DestroyStatus;
    expect(status).toMatchObject({ state: 'done', left: [] });
    expect(status.dropped.filter((what) => !what.startsWith('workflow ')).length).toBe(7);
    expect(status.dropped).toContain('workflow pipeline/engagement, which was ended');

    const { results, redis, ...rest } = await world.found('engagement');
    expect(rest).toEqual({ ...nothing, results: undefined, redis: undefined });
    expect(results).toEqual(['trending_posts']);
    expect(redis.filter((key) => !key.includes('trending'))).toEqual([]);
    expect([await isScheduled('engagement'), await isScheduled('trending')]).toEqual([false, true]);
    expect(await world.unequal('trending')).toEqual([]);
    const [engagement, trendingNow] = await pipelineStatuses(world.config);
    expect(engagement).toMatchObject({ state: 'unreachable', reason: 'it does not run: its workflow pipeline/engagement has ended; ./sluice apply engagement starts it', watermark: null });
    expect(trendingNow).toMatchObject({ state: 'running' });
  });

  test('twice: there is nothing, and since when', async () => {
    expect(await world.sluice('destroy', 'engagement', '--yes')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^There is nothing of engagement to drop: it was destroyed at 20.*Z\.\n$/) as string });
    expect(await world.sluice('backfill', 'engagement', '--from', '30m', '--to', '10m')).toMatchObject({ code: 2, stderr: expect.stringContaining('Pipeline engagement is not loaded, and so it has no windows. To load it as its source is now: ./sluice apply engagement') as string });
    expect(await world.sluice('repair', 'engagement')).toMatchObject({ code: 2, stderr: expect.stringContaining('Pipeline engagement is not loaded. See ./sluice status, and repair it when it runs.') as string });
    for (const more of [[], ['--number', '1']]) {
      expect(await world.sluice('approve', 'engagement', ...more)).toMatchObject({ code: 2, stderr: expect.stringMatching(/^Pipeline engagement is not loaded, and so it has no migrations\. .*: \.\/sluice apply engagement$/m) as string });
    }
    expect(await world.sluice('migrations', 'engagement')).toMatchObject({ code: 0, stdout: 'Pipeline engagement is not loaded, and so it has no migrations. To load it as its source is now: ./sluice apply engagement\n' });
    for (const how of ['--dry-run', '--yes']) {
      const { code, stderr } = await world.sluice('recover', 'engagement', how);
      expect(stderr).toMatch(/^Pipeline engagement is not loaded, and so there is nothing to recover\. To load it as its source is now: \.\/sluice apply engagement$/m);
      expect(stderr).not.toContain('recovering');
      expect(code).toBe(2);
    }
    expect((await world.found('engagement')).state).toEqual([]);
  });

  test('E28: from nothing again, by the worker that has seen it go, it is exactly what the source has, and newer than what was', async () => {
    await world.source.query('delete from engagement_events where id % 3 = 0');
    const { said } = await applied('engagement');
    expect(said[0]).toBe('nothing of engagement is loaded yet');
    expect((await shard('engagement'))!.epoch).toBe('2');
    await world.writeEvents(300);
    // the receiver was not asked to give anything back, and is told by a truncate below the load
    expect(await world.unequal('engagement')).toEqual([]);
  });

  test('E28, E10: results that were kept are what the source has after the next apply, though rows changed and went meanwhile', async () => {
    const kept = await destroyed('engagement', true);
    expect(kept.plan!.items.filter(({ stays }) => stays === 'it is to be kept').length).toBe(3);
    await destroyed('trending', true);
    const between = await world.found('trending');
    expect(between).toMatchObject({ slots: [], publications: [], state: [], spool: [], results: ['trending_posts'], clickhouse: ['engagement_enriched'] });
    expect(between.redis).toEqual(expect.arrayContaining(['trending:top', 'top_engagement:10min', 'leaderboard']));
    // and the mark of the load that all of its rows are of
    expect((await world.found('engagement')).fences).toEqual(['enriched', 'enriched backfill: rewritten']);
    await world.source.query("delete from engagement_events where id % 5 = 0; update engagement_events set duration_ms = 1, event_ts = event_ts - interval '1 minute' where id % 7 = 0");
    await world.source.query("delete from post_views where id % 2 = 0; update post_views set post_id = 1 where id % 7 = 0; update posts set title = title || '!'");
    await Promise.all([applied('engagement'), applied('trending')]);
    expect((await shard('engagement'))!.epoch).toBe('3');
    expect(await world.unequal('engagement')).toEqual([]);
    expect(await world.unequal('trending')).toEqual([]);
  });

  test('a destination that cannot be asked is left and named; what comes up again from there is exact, and the next destroy takes it', async () => {
    await world.restartWorker({ redisUrl: world.config.redisUrl.replace('://', '://nobody:wrong@') });
    const partly = await destroyed('trending');
    expect(partly).toMatchObject({ state: 'partly', left: [{ what: 'keys of trending:top in Redis', why: expect.stringContaining('WRONGPASS') as string, byHand: expect.stringMatching(/^in Redis, UNLINK trending:top \{trending:top\}:fence/) as string }] });
    await world.restartWorker();
    expect(await world.found('trending')).toMatchObject({ ...nothing, clickhouse: ['engagement_enriched'], redis: expect.arrayContaining(['trending:top', '{trending:top}:fence']) as string[], results: [] });
    await world.source.query('delete from post_views where id % 3 = 0');
    await applied('trending');
    expect(await world.unequal('trending')).toEqual([]);
    expect(await destroyed('trending')).toMatchObject({ state: 'done' });
    expect((await world.found('trending')).redis.filter((key) => key.includes('trending'))).toEqual([]);
  });

  test('one that pipelines/ does not list is destroyed by what was put on record; what another writes to stays', async () => {
    const ghost = { ...resolve(trending, {}), name: 'ghost', sinks: { rows: { kind: 'postgres-results', view: 'trending', table: 'ghost_rows' }, shared: { kind: 'redis-results', view: 'trending', key: 'leaderboard' } } } as const;
    await world.state.query('create table results.ghost_rows (n int)');
    await world.state.query("insert into sluice.shard (pipeline, shard, epoch, slot, system_identifier, state, definition_hash, definition) values ('ghost', 'ghost', 5, 'none', '', 'loading', '', $1)", [definitionJson(lastingDefinition(ghost))]);
    const before = await world.redis.hgetall('{leaderboard}:window');
    const status = await destroyed('ghost');
    expect(status).toMatchObject({ state: 'done', left: [] });
    expect(status.plan!.items.find(({ drop }) => drop.kind === 'destination' && drop.lane === 'shared')!.stays).toBe('pipeline engagement writes there too');
    expect((await world.found('ghost')).results).toEqual([]);
    expect(Object.keys(await world.redis.hgetall('{leaderboard}:window'))).toEqual(Object.keys(before));

    // what a migration has made of columns goes with the pipeline: what cannot be loaded without it is not destroyed
    await world.source.query('alter table posts rename title to heading');
    await world.state.query("insert into sluice.shard (pipeline, shard, epoch, slot, system_identifier, state, definition_hash) values ('trending', 'trending', 5, 'none', '', 'streaming', 'another')");
    await world.state.query(`insert into sluice.schema_change (pipeline, number, epoch, columns, changes, state, shape) values ('trending', 1, 5, '{}', '[]', 'done', '{"posts": {"title": {"from": "heading"}}}')`);
    const refused = await world.sluice('apply', 'trending', '--allow');
    expect(refused).toMatchObject({ code: 1, stdout: expect.stringMatching(/^trending cannot run so:\n {2}source: .*title/) as string });
    expect(await shard('trending')).toBeDefined();
    await world.source.query('alter table posts rename heading to title');
    await destroyed('trending');

    // and all begin above it
    await applied('trending');
    expect(Number((await shard('trending'))!.epoch)).toBeGreaterThan(5);
  });

  test('another definition than the one that was loaded is told change by change, and made from nothing where that is allowed', async () => {
    await world.state.query("update sluice.shard set definition_hash = 'another', definition = (replace(definition::text, '\"appendOnly\":false', '\"appendOnly\":true'))::json where pipeline = 'trending'");
    const refused = await world.sluice('apply', 'trending');
    expect(refused).toMatchObject({ code: 1, stdout: expect.stringMatching(/^What trending is defined as is not what was loaded:\n {2}source\.events\.appendOnly is false, and was true\nThat cannot be changed in place\. \.\/sluice apply trending --allow drops/) as string });
    const before = Number((await shard('trending'))!.epoch);
    const { said } = await applied('trending', { allow: true });
    expect(said).toContain('what was loaded of another definition was dropped');
    expect(Number((await shard('trending'))!.epoch)).toBe(before + 1);
    expect(await isScheduled('trending')).toBe(true);
    expect(await world.unequal('trending')).toEqual([]);
  });

  test('a worker that has read another file than the command says so, and what is parked tries again', async () => {
    const client = world.temporal;
    const written = writtenDefinition({ ...trending, settings: { ...trending.settings, lingerMs: 7 } });
    await client.workflow.start('bootstrap', { workflowId: 'bootstrap/trending', taskQueue, args: [{ pipeline: 'trending', written }] });
    const status = await followBootstrap(world.config, 'bootstrap/trending', () => {});
    expect(status).toMatchObject({ state: 'failed', error: expect.stringMatching(/^The worker has not read pipelines\/trending\.ts as it is now:\n {2}settings\.lingerMs is 7, and was 50\n/) as string });

    await world.source.query('alter table post_views replica identity default');
    await client.workflow.getHandle('pipeline/trending').signal('pause');
    await until(async () => (await pipelineStatuses(world.config, ['trending']))[0]!.state === 'paused', 'it is paused');
    await client.workflow.getHandle('pipeline/trending').signal('resume');
    await until(async () => (await pipelineStatuses(world.config, ['trending']))[0]!.state === 'parked', 'it is parked');
    await world.source.query('alter table post_views replica identity full');
    expect((await applied('trending')).said[2]).toMatch(/^settings and addresses were taken over; .*was parked and tries again$/);
    expect(await world.unequal('trending')).toEqual([]);
  });
});
