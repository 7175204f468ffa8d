import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startBackfill } from '../../client/backfills.ts';
import { startBootstrap } from '../../client/bootstrap.ts';
import { decideMigration } from '../../client/migrations.ts';
import { pausePipeline, resumePipeline } from '../../client/pipelines.ts';
import { startAttributes } from '../../client/search-attributes.ts';
import { backfillRequest } from '../../core/backfill.ts';
import { migrationWorkflowId } from '../../core/migration/schema-change.ts';
import { recoveryWorkflowId, type RecoveryInput } from '../../core/recovery.ts';
import { taskQueue } from '../../core/workflow-names.ts';
import engagement from '../../pipelines/engagement.ts';
import { missWorker } from '../orchestration/killed-worker.ts';
import { OwnTemporal, passTime } from '../lifecycle/own-temporal.ts';
import { World } from '../lifecycle/world.ts';

const soon = { timeout: 20_000, interval: 50 };
const name = 'engagement';
const hourMs = 3_600_000;

/** Real runs: what a person asked for is, after each kill, where it was, and in the end everything is equal. */
describe('Temporal is killed (SIGKILL), and then the worker, at each stage of', { timeout: 120_000 }, () => {
  let temporal: OwnTemporal;
  let world: World;

  beforeAll(async () => {
    temporal = await OwnTemporal.start(50);
    world = await World.open({ temporal: { temporalAddress: temporal.address, temporalNamespace: 'default' } });
    await world.fill();
  }, 120_000);
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await temporal?.[Symbol.asyncDispose]();
  });

  async function killTemporal(): Promise<void> {
    await temporal.kill();
    await temporal.start();
  }

  /** Whoever asks, a worker answers, which says that it has found the server again. */
  async function killed(stage: () => Promise<unknown>, expected: unknown, ...workflowIds: readonly string[]): Promise<void> {
    await expect.poll(stage, soon).toEqual(expected);
    await killTemporal();
    await expect.poll(stage, soon).toEqual(expected);
    await killWorker(...workflowIds);
    await world.startWorker();
    await expect.poll(stage, soon).toEqual(expected);
  }

  async function killWorker(...workflowIds: readonly string[]): Promise<void> {
    await world.workerEnded('SIGKILL');
    await missWorker(world.temporal, `pipeline/${name}`, ...workflowIds);
  }

  const stateOf = async (workflowId: string, query: string) => (await world.temporal.workflow.getHandle(workflowId).query<{ state: string }>(query)).state;
  const result = (workflowId: string) => world.temporal.workflow.getHandle(workflowId).result();

  /** While it is locked nobody reads the table, and so no load goes on. */
  async function whileLocked(work: () => Promise<void>): Promise<void> {
    await world.source.query('begin; lock table engagement_events in access exclusive mode');
    await work().finally(() => world.source.query('rollback'));
  }

  test('an apply', async () => {
    const { workflowId } = await startBootstrap(world.config, { pipeline: name });
    // no worker has looked yet
    await killTemporal();
    await whileLocked(async () => {
      await world.startWorker();
      const phase = async () => (await world.temporal.workflow.getHandle(workflowId).query<{ phase: string }>('progress')).phase;
      await killed(phase, 'waits until it streams', workflowId);
    });
    expect(await result(workflowId)).toMatchObject({ state: 'done' });
    expect(await world.unequal(name)).toEqual([]);
  });

  test('a migration that is approved after an hour, and a backfill beside it', async () => {
    const now = Date.now();
    const { workflowId: backfill } = await startBackfill(world.config, backfillRequest(engagement, { fromMs: now - 2 * hourMs, toMs: now - hourMs / 2, views: ['top10m'], chunkRows: 20, rowsPerSecond: 20 }, now));
    await expect.poll(async () => (await world.state.query("select from sluice.aggregate where pipeline = $1 and rebuilding <> '[]'", [name])).rowCount, soon).toBe(1);
    await pausePipeline(world.config, name, 'enriched');
    await world.writeEvents(100);
    await world.source.query("begin; alter table engagement_events alter column duration_ms type bigint; alter table engagement_events rename column device to gadget; commit; update engagement_events set gadget = 'later' where id % 7 = 0");

    // as soon as it is on record, whether anybody has heard of it or not
    const change = async () => (await world.state.query<{ state: string }>('select state from sluice.schema_change where pipeline = $1', [name])).rows[0]?.state;
    const migration = migrationWorkflowId(name, 1);
    await expect.poll(change, { ...soon, interval: 5 }).toBeDefined();
    await Promise.all([temporal.kill(), world.workerEnded('SIGKILL')]);
    await temporal.start();
    await missWorker(world.temporal, `pipeline/${name}`, backfill);
    await world.startWorker();
    await expect.poll(() => stateOf(migration, 'status'), soon).toBe('waiting');

    await world.temporal.workflow.getHandle(backfill).signal('pause');
    await killed(async () => [await stateOf(migration, 'status'), await stateOf(backfill, 'progress')], ['waiting', 'paused']);
    const before = await historyMs(migration);
    await passTime(world.temporal, migration, hourMs);
    await decideMigration(world.config, name, 'approve', 1);
    expect((await historyMs(migration)) - before).toBeGreaterThan(hourMs);

    await killed(() => stateOf(migration, 'status'), 'draining', migration);
    await world.clickhouse.command({ query: 'SYSTEM STOP MERGES engagement_enriched' });
    await resumePipeline(world.config, name, 'enriched');
    const mutations = async () => (await (await world.clickhouse.query({ query: "SELECT command FROM system.mutations WHERE database = currentDatabase() AND NOT is_done", format: 'JSONEachRow' })).json()).length;
    await expect.poll(mutations, soon).toBe(1);
    await killed(() => stateOf(migration, 'status'), 'changing', migration);
    await world.clickhouse.command({ query: 'SYSTEM START MERGES engagement_enriched' });

    // as soon as the pipeline is another one, whether it has heard of it or not
    await expect.poll(change, { ...soon, interval: 5 }).toBe('done');
    await Promise.all([temporal.kill(), world.workerEnded('SIGKILL')]);
    await temporal.start();
    await missWorker(world.temporal, `pipeline/${name}`, migration);
    await world.startWorker();
    expect(await result(migration)).toMatchObject({ state: 'done', decision: 'approve', error: null });

    const handle = world.temporal.workflow.getHandle(backfill);
    await handle.executeUpdate<void, [null]>('setSpeed', { args: [null] });
    await handle.signal('resume');
    expect(await result(backfill)).toMatchObject({ state: 'done' });
    await world.source.query("insert into engagement_events (content_id, event_type, event_ts, duration_ms, gadget) select content_id, 'play', now(), 3000000000, 'new' from engagement_events limit 10");
    expect(await world.unequal(name)).toEqual([]);
  });

  test('a recovery', async () => {
    await world.workerEnded('SIGTERM');
    // its walsender may not have noticed
    await expect.poll(() => world.source.query('select pg_drop_replication_slot($1)', [`sluice_${name}`]).then(() => 'dropped', (error: Error) => error.message), soon).toBe('dropped');
    await world.source.query('delete from engagement_events where id % 3 = 0');
    const workflowId = recoveryWorkflowId(name, new Date());
    await world.temporal.workflow.start('recovery', { workflowId, taskQueue, args: [{ pipeline: name, approved: false } satisfies RecoveryInput], typedSearchAttributes: startAttributes(name, 'recovery', 'planning') });
    // no worker has looked yet
    await killTemporal();
    await world.startWorker();
    const state = () => stateOf(workflowId, 'status');
    await killed(state, 'waiting');
    await whileLocked(async () => {
      await world.temporal.workflow.getHandle(workflowId).executeUpdate('approve');
      await killed(state, 'loading', workflowId);
    });
    expect(await result(workflowId)).toMatchObject({ state: 'done', error: null });
    expect(await world.unequal(name)).toEqual([]);
  });

  /** When its newest event happened, as it counts. */
  async function historyMs(workflowId: string): Promise<number> {
    const { events } = await world.temporal.workflow.getHandle(workflowId).fetchHistory();
    return Number(events!.at(-1)!.eventTime!.seconds) * 1000;
  }
});
