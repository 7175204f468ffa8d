import { ApplicationFailure } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { backfill } from '../../activities/backfill.ts';
import { changeSinks, settleMigration, trimSinks } from '../../activities/migration.ts';
import { askToTakeOver, beginRedefinition, dropEnded, tellRedefinition, type BeginInput } from '../../activities/redefine.ts';
import { fillLanes } from '../../activities/redefine-fill.ts';
import { AggregateSink } from '../../connectors/aggregate/aggregate-sink.ts';
import { PostgresAggregateTables } from '../../connectors/postgres/aggregate/aggregate-tables.ts';
import { detachLane, readDetached } from '../../connectors/postgres/detached-lanes.ts';
import { markForLoad, readShard } from '../../connectors/postgres/shard-state.ts';
import { ConfigurationError, FenceMoved } from '../../connectors/sink.ts';
import { writtenDefinition } from '../../core/define/definition-hash.ts';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import engagement from '../../pipelines/engagement.ts';
import { until } from '../capture/captured-source.ts';
import { inActivity } from '../orchestration/in-activity.ts';
import { Stores, type Worker } from './stood-still.ts';

/** A view that takes rows out by a column which no other view looks at. */
function withDevices(pipeline: Pipeline): Pipeline {
  const { leaderboard } = pipeline.views;
  return { ...pipeline, views: { ...pipeline.views, devices: { ...leaderboard!, key: 'device', labels: {} } } };
}

function lacking<T>(all: Readonly<Record<string, T>>, name: string): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(all).filter(([each]) => each !== name));
}

/** A worker's own canaries keep the aggregate lane a little behind. */
async function becomes(worker: Worker): Promise<number> {
  const number = await worker.begin();
  const isTaken = async () => worker.takeOver(number, 'become').then(() => true, (error: { type?: string }) => {
    if (error.type !== 'Behind') throw error;
    return false;
  });
  await until(isTaken, 'the pipeline is the other one');
  return number;
}

describe('a definition changes beside a worker that stood still, or that Temporal does not hear of', { timeout: 120_000 }, () => {
  test('E3, E25: a capture of before that goes on appends nothing that the new views would have to take away', async () => {
    await using stores = await Stores.open();
    const [deaf, other] = [stores.worker(), stores.worker(withDevices)];
    await deaf.load();
    const before = [deaf.capture(), deaf.lane('aggregate')];
    await stores.write(20);
    await until(async () => (await stores.state.query('select from sluice.panes_engagement_top10m')).rowCount! > 0, 'it streams');
    await becomes(other);
    await stores.source.query("update engagement_events set duration_ms = 5; insert into engagement_events (event_type, event_ts, device) values ('play', now(), 'the last')");
    const since = [other.capture(), other.lane('aggregate')];
    const isFolded = until(async () => (await stores.state.query("select from sluice.panes_engagement_devices where key = 'the last'")).rowCount === 1, 'what came since is folded');
    await Promise.race([isFolded, ...since]);
    await stores.end();
    expect((await before[0]!).ended).toBe('superseded');
    expect((await Promise.all(since)).map(({ ended }) => ended)).toEqual(['asked', 'asked']);
  });

  const copy = (pipeline: Pipeline): Pipeline => ({ ...pipeline, sinks: { ...pipeline.sinks, copy: { ...(pipeline.sinks['enriched'] as Extract<SinkDefinition, { kind: 'clickhouse' }>), table: 'engagement_copy' } } });

  /** A capture has found that a dimension has other columns, and that was approved. */
  async function migrated(stores: Stores, worker: Worker, column: string, name: string): Promise<void> {
    await stores.source.query(`alter table content rename column ${column} to ${name}`);
    const capturing = worker.capture();
    await stores.source.query("update content set title = title || '!'");
    const { change: number } = await capturing;
    const decided = { pipeline: 'engagement', number: number!, decision: 'approve' } as const;
    for (const step of [changeSinks, settleMigration]) await inActivity(() => step(worker.runtime, decided));
  }

  describe('a lane that is loaded while the columns of its source become others, which no migration waits for', () => {
    let stores: Stores;
    let worker: Worker;
    let number: number;
    const fill = () => inActivity(() => fillLanes(worker.runtime, { pipeline: 'engagement', number }));
    const joining = async () => (await stores.state.query<{ lane: string }>("select lane from sluice.joining_lane where pipeline = 'engagement'")).rows.map(({ lane }) => lane);

    beforeEach(async () => {
      stores = await Stores.open();
      await stores.write(20);
      const before = stores.worker();
      await before.load();
      worker = stores.worker(copy);
      number = await worker.begin();
      await worker.takeOver(number, 'become');
    });
    afterEach(() => stores[Symbol.asyncDispose]());

    test('does not join where the columns of before follow: its rows are read again first', async () => {
      await fill();
      await migrated(stores, worker, 'content_type', 'kind');
      await expect(worker.takeOver(number, 'join')).rejects.toThrow('Migration 1 of its source\'s columns was done after the rows of copy had been read, which have to be read again.');
      expect(await joining()).toEqual(['copy']);
      await fill();
      await worker.takeOver(number, 'join');
      expect(await joining()).toEqual([]);
      const steps = [worker.capture(), worker.lane('copy')];
      await stores.write(3);
      const rows = async () => (await stores.clickhouse.query({ query: 'SELECT toString(count()) AS rows FROM engagement_copy FINAL', format: 'JSONEachRow' })).json<{ rows: string }>();
      await Promise.race([until(async () => (await rows())[0]!.rows === '23', 'it follows the stream'), ...steps]);
    });

    test('and if that is seen in the middle, it begins anew by itself', async () => {
      const { definition } = worker.runtime;
      let asked = 0;
      // once for itself, then before each piece: content, and its events
      worker.runtime.definition = async (name, hash) => {
        if (hash === undefined && ++asked === 3) await migrated(stores, stores.worker(copy), 'content_type', 'kind');
        return definition.call(worker.runtime, name, hash);
      };
      await expect(fill()).rejects.toThrow('the columns of engagement were migrated while copy was loaded: that begins anew');
      await fill();
      await worker.takeOver(number, 'join');
      expect(await joining()).toEqual([]);
    });

    test('E20: that is detached meanwhile is not loaded to its end, and joins without its rows; nor is it loaded again before somebody asks for it', async () => {
      const { definition } = worker.runtime;
      let asked = 0;
      // once for itself, then before each piece
      worker.runtime.definition = async (name, hash) => {
        if (hash === undefined && ++asked === 3) await stores.detach('copy');
        return definition.call(worker.runtime, name, hash);
      };
      await expect(fill()).rejects.toThrow('copy of engagement was detached while it was loaded');
      expect(await fill()).toEqual({ rows: 0 });
      await worker.takeOver(number, 'join');
      expect(await joining()).toEqual([]);
      await expect(worker.lane('copy')).rejects.toThrow(/Lane copy was detached at 20.* type \.\/sluice apply engagement/);
      await inActivity(() => tellRedefinition(worker.runtime, { pipeline: 'engagement', number, state: 'done', error: null }));
      const { at } = (await readDetached(stores.state, 'engagement')).get('copy')!;
      const begun = (rejoins: Readonly<Record<string, string>>) => inActivity(() => beginRedefinition(worker.runtime, { pipeline: 'engagement', keepResults: false, rejoins }));
      expect(await begun({})).toBe(null);
      // as it was when the apply that has loaded it was asked for
      expect(await begun({ copy: '2026-11-30T00:00:00.000Z' })).toBe(null);
      expect(await begun({ copy: at })).toBe(number + 1);
    });

    test('E20: is not let go, once it has joined, by a capture that stood still since it held up the stream', async () => {
      const seen = { ...(await readShard(stores.state, 'engagement'))!, isJoining: true };
      await fill();
      await worker.takeOver(number, 'join');
      expect([await detachLane(stores.state, 'engagement', 'copy', undefined, seen), await readDetached(stores.state, 'engagement')]).toEqual([false, new Map()]);
    });

    test('E1: is loaded only from the source whose stream it joins, as that is where it goes on', async () => {
      await stores.state.query("update sluice.joining_lane set floor = '00000001ffffffff0000000000000000'");
      await expect(fill()).rejects.toThrow('The source of pipeline engagement was set back');
      await stores.state.query("update sluice.shard set system_identifier = '1'");
      await expect(fill()).rejects.toThrow('The source of pipeline engagement is another server than the one it was loaded from');
    });

    test('a worker that stood still since it joined does not let it go before it is loaded again', async () => {
      await fill();
      await worker.takeOver(number, 'join');
      await inActivity(() => tellRedefinition(worker.runtime, { pipeline: 'engagement', number, state: 'done', error: null }));
      await stores.detach('copy');
      const next = await worker.begin();
      await worker.takeOver(next, 'become');
      await worker.takeOver(number, 'join');
      expect(await joining()).toEqual(['copy']);
    });
  });

  test('E20: a capture that stood still as it was about to let a lane go does not once that has joined again', async () => {
    await using stores = await Stores.open();
    const worker = stores.worker();
    await worker.load();
    const seen = { ...(await readShard(stores.state, 'engagement'))!, isJoining: false };
    const letGo = async () => [await detachLane(stores.state, 'engagement', 'live', undefined, seen), [...(await readDetached(stores.state, 'engagement')).keys()]];
    expect(await letGo()).toEqual([true, ['live']]);
    expect(await letGo()).toEqual([true, ['live']]);
    await worker.takeOver(await worker.begin(), 'become');
    expect(await letGo()).toEqual([false, []]);
  });

  test('E20: one that is to be done goes by the plan that it was begun with; another plan is another one, and who goes on with the first is told so', async () => {
    await using stores = await Stores.open();
    const worker = stores.worker();
    await worker.load();
    await stores.detach('enriched');
    expect([await worker.begin(), await worker.begin()]).toEqual([1, 1]);
    // before the pipeline has taken it over
    await stores.detach('external');
    expect(await worker.begin()).toBe(2);
    await expect(inActivity(() => askToTakeOver(worker.runtime, { pipeline: 'engagement', number: 1, what: 'become' }))).rejects.toThrow('Redefinition 1 of engagement counts no more');
  });

  test('what would be lost must be allowed when it is done, and by whoever has seen the definition of then', async () => {
    await using stores = await Stores.open();
    await stores.worker().load();
    const without = stores.worker((pipeline) => ({ ...pipeline, sinks: lacking(pipeline.sinks, 'live') }));
    const begin = (more: Partial<BeginInput>) => inActivity(() => beginRedefinition(without.runtime, { pipeline: 'engagement', keepResults: false, written: writtenDefinition(engagement), allow: false, ...more }));
    await expect(begin({})).rejects.toThrow('LOSES: sink live ends');
    await expect(begin({ written: writtenDefinition({ ...engagement, views: {} }), allow: true })).rejects.toThrow('pipelines/engagement.ts has become another since this apply began (views.top10m is gone');
    expect(await begin({ allow: true })).toBe(1);
  });

  test('E11: a live lane of before applies nothing to what the new view was made of, though its fence is the same', async () => {
    await using stores = await Stores.open();
    const views = (pipeline: Pipeline) => ({ ...pipeline.views, top10m: { ...pipeline.views['top10m']!, rank: { by: 'seconds', top: 10 } } });
    const [before, after] = [stores.worker(), stores.worker((pipeline) => ({ ...pipeline, views: views(pipeline) }))];
    await before.load();
    const { pipeline } = await before.runtime.definition('engagement');
    await before.runtime.destinations.useSink(pipeline, 'live', async ({ sink: deaf }) => {
      const fence = (await deaf.readFence())!;
      await after.takeOver(await after.begin(), 'become');
      const now = (await after.runtime.definition('engagement')).pipeline;
      expect(await after.runtime.destinations.useSink(now, 'live', ({ rebuild }) => rebuild!())).toBe(fence);
      void after.capture();
      await stores.write(5);
      const log = await after.runtime.log('engagement');
      await until(async () => (await log.lastEvents()) !== undefined, 'it is captured');
      const segments = await log.read(fence, { maxRows: 100 }, new AbortController().signal);
      const to = segments.at(-1)!.header.to;
      await expect(deaf.apply(segments, fence, to)).rejects.toThrow(FenceMoved);
      await expect(deaf.readFence()).rejects.toThrow(FenceMoved);
      await after.runtime.destinations.useSink(now, 'live', ({ sink }) => sink.apply(segments, fence, to));
    });
  });

  test('a pipeline that has become another does not go on by what it was before, whatever cannot be said of it then', async () => {
    await using stores = await Stores.open();
    await stores.worker().load();
    const worker = stores.worker(withDevices);
    const number = await worker.begin();
    const { definition } = worker.runtime;
    worker.runtime.definition = () => Promise.reject(new ConfigurationError('there is no such pipeline here'));
    const refused = worker.takeOver(number, 'become').catch((error: unknown) => error);
    expect(await refused).not.toBeInstanceOf(ApplicationFailure);
    expect(await refused).toMatchObject({ message: 'there is no such pipeline here' });
    worker.runtime.definition = definition;
    expect(await worker.takeOver(number, 'become')).toMatchObject({ definitionHash: (await worker.runtime.definition('engagement')).hash });
  });

  test('E18: a backfill of a view that is gone since it began leaves panes alone that others have with it', async () => {
    await using stores = await Stores.open();
    const time = Math.floor((Date.now() - 3_600_000) / 10_000) * 10_000;
    await stores.source.query("insert into engagement_events (content_id, event_type, event_ts) select id, 'play', to_timestamp($1 / 1000.0) from content", [time]);
    await stores.write(1);
    const [before, after] = [stores.worker(), stores.worker((pipeline) => ({ ...pipeline, views: lacking(pipeline.views, 'leaderboard'), sinks: lacking(pipeline.sinks, 'leaderboard') }))];
    await before.load();
    const { pipeline } = await before.runtime.definition('engagement');
    const request = { pipeline: 'engagement', fromMs: time - 60_000, toMs: time + 60_000, views: ['leaderboard'], sinks: [], chunkRows: 1_000, rowsPerSecond: null };
    await new AggregateSink(await PostgresAggregateTables.open(stores.state, pipeline), pipeline).markRebuild('a workflow a run', request.views, request);
    await after.takeOver(await after.begin(), 'become');
    const steps = [after.capture(), after.lane('aggregate')];
    const computed = inActivity(() => backfill(after.runtime, { request, durationMs: 60_000 }));
    await expect(Promise.race([computed, ...steps])).rejects.toThrow('its views are others by now');
    expect((await stores.state.query('select from sluice.panes_engagement_top10m where pane_ms = $1', [time])).rowCount).toBe(1);
  });

  test('panes that another release keeps otherwise are not gone on with, nor changed in place: it is said what to type, and a load makes them anew', async () => {
    await using stores = await Stores.open();
    const [worker, other] = [stores.worker(), stores.worker(withDevices)];
    await worker.load();
    const kept = async () => (await stores.state.query<{ views: string }>('select views from sluice.aggregate')).rows[0]!.views;
    const own = await kept();
    await stores.state.query("update sluice.aggregate set views = 'of another release'");
    const capturing = worker.capture();
    await stores.write(1);
    const sentence = /^The panes of engagement were made by another release of Sluice.* or have this one make them anew.*: \.\/sluice recover engagement$/;
    for (const lane of ['aggregate', 'live']) await expect(worker.lane(lane)).rejects.toThrow(sentence);
    await stores.end();
    await capturing;
    const number = await other.begin();
    await expect(other.takeOver(number, 'become')).rejects.toThrow(sentence);
    expect(await kept()).toBe('of another release');
    await markForLoad(stores.state, 'engagement', 1);
    await worker.load();
    expect(await kept()).toBe(own);
  });

  test('what a lane had is dropped when it writes to another table, and with it not the fence of that', async () => {
    await using stores = await Stores.open();
    await stores.write(5);
    const [before, after] = [stores.worker(copy), stores.worker((pipeline) => ({ ...pipeline, sinks: { ...pipeline.sinks, copy: { ...copy(pipeline).sinks['copy']!, table: 'engagement_moved' } as SinkDefinition } }))];
    await before.load();
    const number = await after.begin();
    await after.takeOver(number, 'become');
    const asked = { pipeline: 'engagement', number };
    await inActivity(() => fillLanes(after.runtime, asked));
    await after.takeOver(number, 'join');
    const { pipeline } = await after.runtime.definition('engagement');
    const fence = () => after.runtime.destinations.readFence(pipeline, 'copy');
    const found = await fence();
    expect(await inActivity(() => dropEnded(after.runtime, asked))).toEqual(['engagement_copy']);
    expect(await fence()).toBe(found);
    const left = await stores.clickhouse.query({ query: "SELECT lane FROM sluice_fence WHERE startsWith(lane, 'copy') AND target NOT IN (SELECT concat(toString(uuid), ' ', comment) FROM system.tables)", format: 'JSONEachRow' });
    expect(await left.json()).toEqual([]);
  });

  test('a relay of before does not say that the table of now has what only its own got', async () => {
    await using stores = await Stores.open();
    const into = (table: string) => (pipeline: Pipeline): Pipeline => ({ ...pipeline, sinks: { ...pipeline.sinks, board: { kind: 'postgres-results', view: 'leaderboard', table } } });
    const [before, after] = [stores.worker(into('first')), stores.worker(into('second'))];
    await before.load();
    const { pipeline } = await before.runtime.definition('engagement');
    await before.runtime.destinations.useRelay(pipeline, 'board', async (deaf) => {
      await after.takeOver(await after.begin(), 'become');
      const from = await deaf.readFence();
      const message = { seq: from + 1, view: 'leaderboard', body: { windowStartMs: 0, windowEndMs: 60_000, revision: 0, final: true, rows: [] } };
      await expect(deaf.publish([message], from, from + 1)).rejects.toThrow('lane board of engagement writes to another table than "results"."first" by now');
      await after.runtime.destinations.useRelay((await after.runtime.definition('engagement')).pipeline, 'board', (relay) => relay.publish([message], from, from + 1));
    });
  });

  test('panes that are new have a table of their own, also where a worker of before has made one of that name', async () => {
    await using stores = await Stores.open();
    const [before, after] = [stores.worker(), stores.worker(withDevices)];
    await before.load();
    await stores.state.query('create table sluice.panes_engagement_devices (pane_ms bigint, key text, other bigint, primary key (pane_ms, key))');
    await after.takeOver(await after.begin(), 'become');
    await stores.source.query("insert into engagement_events (event_type, event_ts, device) values ('play', now(), 'phone')");
    const steps = [after.capture(), after.lane('aggregate')];
    await Promise.race([until(async () => (await stores.state.query('select from sluice.panes_engagement_devices')).rowCount === 1, 'it is folded'), ...steps]);
  });

  test('E20: a lane is detached at the budget also by a worker that has found the spool full', async () => {
    await using stores = await Stores.open();
    const budget = 400_000;
    const small = ({ sinks: { enriched, leaderboard }, settings, ...pipeline }: Pipeline): Pipeline => ({
      ...pipeline,
      sinks: { enriched: { ...(enriched as Extract<SinkDefinition, { kind: 'clickhouse' }>), onBudget: 'detach' }, leaderboard: leaderboard! },
      settings: { ...settings, segmentBytes: budget / 4, spoolBudgetBytes: budget, spoolKeepMs: 0 },
    });
    const first = stores.worker(small);
    await first.load();
    const steps = [first.capture(), first.lane('aggregate')];
    const isFull = async () => {
      await stores.write(2_000);
      return (await stores.state.query("select from sluice.progress where part = 'capture' and (detail ->> 'spoolBytes')::int >= $1", [budget])).rowCount === 1;
    };
    await Promise.race([until(isFull, 'the spool is full', 60_000), ...steps]);
    await stores.end();
    const detached = async () => (await stores.state.query<{ lane: string }>('select lane from sluice.detached_lane')).rows.map(({ lane }) => lane);
    expect(await detached()).toEqual([]);
    const second = stores.worker(small);
    const since = [second.capture(), second.lane('aggregate')];
    await Promise.race([until(async () => (await detached()).join() === 'enriched', 'the lane is detached', 60_000), ...since]);
  });

  test('E20: a migration waits for nothing of a lane that is detached, whose destination may be away: its table gets its columns when it is joined again', async () => {
    await using stores = await Stores.open();
    const worker = stores.worker();
    await worker.load();
    await stores.detach('enriched');
    await stores.source.query('alter table engagement_events alter column duration_ms type bigint, drop column device');
    const steps = [worker.capture(), worker.lane('aggregate')];
    // more than its column holds so far
    await stores.source.query("insert into engagement_events (content_id, event_type, event_ts, duration_ms) select id, 'play', now(), 3000000000 from content");
    const { change } = await steps[0]!;
    const isDrained = async () => (await stores.state.query("select from sluice.fence join sluice.schema_change using (pipeline) where lane = 'aggregate' and number = $1 and fence.position >= schema_change.position", [change])).rowCount === 1;
    await Promise.race([until(isDrained, 'its windows have what came before'), steps[1]]);
    await stores.end();

    const { config } = worker.runtime;
    Object.assign(worker.runtime, { config: { ...config, clickhouseUrl: 'http://127.0.0.1:1' } });
    const decided = { pipeline: 'engagement', number: change!, decision: 'approve' } as const;
    for (const step of [changeSinks, settleMigration, trimSinks]) await inActivity(() => step(worker.runtime, decided));
    Object.assign(worker.runtime, { config });

    const number = await worker.begin();
    await worker.takeOver(number, 'become');
    await inActivity(() => fillLanes(worker.runtime, { pipeline: 'engagement', number }));
    await worker.takeOver(number, 'join');
    const { rows } = await stores.state.query('select from sluice.owed_shape');
    expect(rows).toEqual([]);
    const asked = async (query: string) => (await stores.clickhouse.query({ query, format: 'JSONEachRow' })).json();
    expect(await asked("SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'engagement_enriched' AND name IN ('device', 'duration_ms')")).toEqual([{ name: 'duration_ms', type: 'Nullable(Int64)' }]);
    const since = [worker.capture(), worker.lane('enriched')];
    await stores.source.query("insert into engagement_events (content_id, event_type, event_ts, duration_ms) select id, 'play', now(), 4000000000 from content");
    const found = async () => JSON.stringify(await asked('SELECT toString(duration_ms) AS duration FROM engagement_enriched FINAL ORDER BY duration_ms'));
    await Promise.race([until(async () => (await found()) === '[{"duration":"3000000000"},{"duration":"4000000000"}]', 'it has what was loaded, and follows'), ...since]);
  });

  test('E20: a lane that gets no rows when it is joined again gets its dead letters still', async () => {
    await using stores = await Stores.open();
    const worker = stores.worker();
    await worker.load();
    for (const lane of ['enriched', 'external']) {
      await stores.state.query("insert into sluice.dead_letter (pipeline, lane, position, op, key, reason, commit_us, content) values ('engagement', $1, repeat('0', 32), 'insert', '1', 'a test', 0, '{}')", [lane]);
      await stores.detach(lane);
    }
    await worker.takeOver(await worker.begin(), 'become');
    expect((await stores.state.query<{ lane: string }>('select lane from sluice.dead_letter')).rows.map(({ lane }) => lane)).toEqual(['external']);
  });
});
