import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lanesToReplay, replay, type ReplayActivities, type ReplayInput } from '../../activities/replay.ts';
import { Reachability } from '../../activities/reachability.ts';
import { Runtime as ActivityRuntime } from '../../activities/runtime.ts';
import { withLetter } from '../../connectors/postgres/replayed-letters.ts';
import { eventPositions } from '../../core/event-positions.ts';
import { letterSegment } from '../../core/dead-letters/letter-segment.ts';
import { passingOver } from '../../core/dead-letters/passing-over.ts';
import { refusedEvent } from '../../core/dead-letters/refused-event.ts';
import type { ReplayReport } from '../../core/dead-letters/replay-report.ts';
import type { Position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { workflowBundle } from '../../workers/workflow-bundle.ts';
import { contents, endOf, intents, segmentsOf, streamOf, type Intent } from '../sinks/stream.ts';
import { services } from '../embedded/services.ts';
import { LettersWorld, zero } from './letters-world.ts';

Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } } });

const insert = (device: string, place = 1): Intent => ({ kind: 'insert', slot: 0, row: { content_id: contents[place]!, event_type: 'play', event_ts: '2026-11-21T10:00:00.000Z', duration_ms: '1000', device } });
const mixed = () => streamOf(Array.from({ length: 12 }, (_, index) => insert(index % 5 === 3 ? 'poison' : 'ios', index % 3)), 3, new Set()).segments;

let world: LettersWorld;
beforeEach(async () => void (world = await LettersWorld.open()));
afterEach(() => world[Symbol.asyncDispose]());

/** As if the sink refused these events, whose content it would take. */
async function applyWithout(lane: string, segments: readonly Segment[], refused: readonly Position[]): Promise<void> {
  const { sink } = await world.sink(lane);
  let fence = (await sink.readFence())!;
  for (const position of refused) {
    await world.letters(lane).keep(refusedEvent(segments, position, 'id'), 'a test', { from: fence, to: position, events: 1_000_000 });
    await sink.apply(passingOver(segments, position, fence, position), fence, position);
    fence = position;
  }
  if (fence < endOf(segments)) await sink.apply(segments, fence, endOf(segments));
}

/** Payloads as their texts. */
function legible(_: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  const { type, data } = (value ?? {}) as { type?: unknown; data?: unknown };
  return type === 'Buffer' && Array.isArray(data) ? Buffer.from(data as number[]).toString() : value;
}

describe('the replay workflow', () => {
  /** Runs it as `sluice dlq replay` does, on a worker of its own. */
  async function run(input: Omit<ReplayInput, 'pipeline'> = {}, wrap: (activities: ReplayActivities) => ReplayActivities = (activities) => activities): Promise<{ report: ReplayReport; events: string }> {
    const { temporalAddress: address } = services();
    const connection = await Connection.connect({ address });
    const native = await NativeConnection.connect({ address });
    const runtime = new ActivityRuntime(world.config, world.environment, new Reachability(async () => {}));
    const taskQueue = `test_${randomBytes(4).toString('hex')}`;
    const worker = await Worker.create({ connection: native, taskQueue, workflowBundle: await workflowBundle(join(tmpdir(), 'sluice-test-workflows')), activities: wrap({ lanesToReplay: (each) => lanesToReplay(runtime, each), replay: (each) => replay(runtime, each) }) });
    const client = new Client({ connection });
    const workflowId = `replay/engagement/${taskQueue}`;
    try {
      return await worker.runUntil(async () => {
        const report = await client.workflow.execute<(input: ReplayInput) => Promise<ReplayReport>>('replay', { workflowId, taskQueue, args: [{ pipeline: 'engagement', ...input }] });
        return { report, events: JSON.stringify(await client.workflow.getHandle(workflowId).fetchHistory(), legible) };
      });
    } finally {
      await runtime.close();
      await connection.close();
      await native.close();
    }
  }

  test('brings every letter of every lane to its destination, and no row into its history', async () => {
    await world.constrain();
    const segments = mixed();
    expect(await world.apply('external', segments)).toBe(2);
    expect(await world.apply('enriched', segments)).toBe(2);
    const refused = (await run()).report;
    const numbers = async (lane: string) => (await world.kept(lane)).map(({ id }) => id);
    expect(refused).toEqual({ pipeline: 'engagement', lanes: { enriched: { replayed: 0, waiting: 2, first: await numbers('enriched') }, external: { replayed: 0, waiting: 2, first: await numbers('external') } } });
    world.external.refuses = false;
    await world.click('ALTER TABLE engagement_enriched DROP CONSTRAINT known_device');
    const { report, events } = await run();
    expect(report).toEqual({ pipeline: 'engagement', lanes: { enriched: { replayed: 2, waiting: 0, first: [] }, external: { replayed: 2, waiting: 0, first: [] } } });
    expect(await world.enriched()).toHaveLength(12);
    expect(world.folded()).toHaveLength(12);
    expect(events).toContain('enriched');
    expect(events).not.toContain('poison');
    expect(events).not.toContain(contents[1]);
    expect((await run()).report.lanes).toEqual({});
  });

  test('one letter only, edited: the row that arrives is the edited one', async () => {
    await world.apply('external', mixed());
    const [first] = await world.kept('external');
    await world.state.query(`update sluice.dead_letter set edited = jsonb_set(content, '{after,device}', '"android"'), edits = 1 where id = $1`, [first!.id]);
    expect((await run({ id: first!.id })).report.lanes).toEqual({ external: { replayed: 1, waiting: 0, first: [] } });
    expect(world.folded().find(({ id }) => id === 4)).toMatchObject({ device: 'android' });
    expect(world.posted.at(-1)!.id).toBe(`engagement_external_replay_${first!.position}_1`);
    expect((await world.kept('external')).map(({ state }) => state)).toEqual(['replayed', 'waiting']);
  });

  test('an attempt that was killed behind a letter begins anew, and the letters are replayed once', async () => {
    const { segments } = streamOf(Array.from({ length: 12 }, () => insert('ios')), 3, new Set());
    const panes = async () => world.rows('select * from sluice.panes_engagement_top10m order by 1, 2');
    await applyWithout('aggregate', segments, eventPositions(segments, zero, endOf(segments)).filter((_, index) => index % 3 === 0));
    await world.sink('live');
    let attempts = 0;
    const { report } = await run({}, (activities) => ({
      ...activities,
      // everything was done, and nobody was told
      replay: async (input) => {
        const done = await activities.replay(input);
        if (input.lane === 'aggregate' && attempts++ === 0) throw new Error('killed');
        return done;
      },
    }));
    expect(report.lanes['aggregate']).toEqual({ replayed: 0, waiting: 0, first: [] });
    expect(await panes()).toMatchObject([{ plays: '12', clicks: '0' }]);
    expect(await world.redis.zscore('top_engagement:10min', contents[1]!)).toBe('12');
  });

  test('a live structure is made anew out of the panes, once the aggregate lane has the event', async () => {
    const { segments } = streamOf(Array.from({ length: 6 }, () => insert('ios')), 2, new Set());
    const [refused] = eventPositions(segments, zero, endOf(segments));
    const score = () => world.redis.zscore('top_engagement:10min', contents[1]!);
    await (await world.sink('aggregate')).sink.readFence();
    await applyWithout('live', segments, [refused!]);
    expect(await score()).toBe('5');
    const behind = await run({ lane: 'live' });
    expect(behind.report.lanes['live']).toMatchObject({ replayed: 0, waiting: 1 });
    await applyWithout('aggregate', segments, [refused!]);
    expect((await run({ lane: 'live' })).report.lanes['live']).toMatchObject({ replayed: 0, waiting: 1 });
    expect(await score()).toBe('5');
    expect((await run({ lane: 'aggregate' })).report.lanes).toEqual({ aggregate: { replayed: 1, waiting: 0, first: [] }, live: { replayed: 1, waiting: 0, first: [] } });
    expect(await score()).toBe('6');
  });

  test('I7: a live structure that could not be made anew is, by the next replay, though no letter waits any more', async () => {
    const { segments } = streamOf(Array.from({ length: 6 }, () => insert('ios')), 2, new Set());
    const [refused] = eventPositions(segments, zero, endOf(segments));
    const scores = () => Promise.all([1, 2].map((place) => world.redis.zscore('top_engagement:10min', contents[place]!)));
    for (const lane of ['aggregate', 'live']) await world.sink(lane);
    await applyWithout('aggregate', segments, [refused!]);
    await world.apply('live', segments);
    await world.state.query(`update sluice.dead_letter set edited = jsonb_set(content, '{after,content_id}', to_jsonb($1::text)), edits = 1`, [contents[2]]);
    const redisIsAway = (activities: ReplayActivities): ReplayActivities => ({ ...activities, replay: (input) => (input.lane === 'live' ? Promise.reject(ApplicationFailure.nonRetryable('Redis is away')) : activities.replay(input)) });
    await expect(run({}, redisIsAway)).rejects.toThrow(WorkflowFailedError);
    expect((await world.kept('aggregate')).map(({ state }) => state)).toEqual(['replayed']);
    expect(await scores()).toEqual(['6', null]);
    expect((await run({ lane: 'external' })).report.lanes).toEqual({});
    expect((await run()).report.lanes).toEqual({ live: { replayed: 0, waiting: 0, first: [] } });
    expect(await scores()).toEqual(['5', '1']);
    expect((await run()).report.lanes).toEqual({});
  });

  test('E8: what an attempt that was killed had on its way is buried by the next one, if a truncate came between', async () => {
    await world.constrain();
    const { segments } = streamOf([insert('poison'), insert('ios'), { ...insert('ios'), kind: 'truncate' }, insert('ios')], 1, new Set());
    await world.apply('enriched', segments.slice(0, 1));
    await world.click('ALTER TABLE engagement_enriched DROP CONSTRAINT known_device');
    const [letter] = await world.kept('enriched');
    let attempts = 0;
    const { report } = await run({}, (activities) => ({
      ...activities,
      replay: async (input) => {
        if (attempts++ > 0) return activities.replay(input);
        await world.apply('enriched', segments.slice(1));
        await (await world.sink('enriched')).sink.load(letterSegment(world.pipeline, { position: letter!.position, op: 'insert', commitUs: 0, content: letter!.content }), 0);
        throw new Error('killed');
      },
    }));
    expect(report.lanes).toEqual({ enriched: { replayed: 0, waiting: 0, first: [] } });
    expect((await world.enriched()).map(({ id }) => id)).toEqual(['3']);
  });
});

describe('the aggregate lane', () => {
  test('I7: whatever was refused, and whenever it is replayed, panes and late deltas come out the same', async () => {
    // a pane that the clock has left behind is let go of with whatever part of it had come
    const sums = async (horizonMs: number) => world.rows(`select pane_ms, key, sum(score) as score, sum(plays) as plays, sum(seconds) as seconds from (
        select pane_ms, key, score, plays, seconds from sluice.panes_engagement_top10m
        union all select pane_ms, key, deltas[1], deltas[2], deltas[5] from sluice.late where pane_set = 'top10m'
      ) parts where pane_ms >= ${horizonMs} group by pane_ms, key having sum(score) <> 0 or sum(plays) <> 0 or sum(seconds) <> 0 order by pane_ms, key`);
    const forget = async () => {
      for (const table of ['fence', 'aggregate', 'published_window', 'load_chunk', 'late', 'dimension_version', 'outbox', 'dead_letter', 'panes_engagement_top10m']) await world.state.query(`delete from sluice.${table}`);
      await (await world.sink('aggregate')).sink.finishLoad(zero);
    };
    const replayOf = (await world.sink('aggregate')).replay;
    const replayOne = (id: number) => withLetter(world.state, id, async (letter, client) => (replayOf.kind === 'event' ? replayOf.event(letterSegment(world.pipeline, letter), letter.edits, client) : Promise.reject(new TypeError())));
    const kinds = intents.map((list) => list.filter(({ kind }) => kind !== 'truncate'));
    await fc.assert(
      fc.asyncProperty(kinds, fc.uniqueArray(fc.nat(80), { maxLength: 12 }), fc.nat(80), async (list, which, half) => {
        if (list.length === 0) return;
        const { segments, transactions } = streamOf(list, 3, new Set());
        await forget();
        await (await world.sink('aggregate')).sink.apply(segments, zero, endOf(segments));
        const [aggregate] = await world.rows('select horizon_ms from sluice.aggregate');
        const horizonMs = Number(aggregate!.horizon_ms);
        const expected = await sums(horizonMs);
        await forget();
        const all = eventPositions(segments, zero, endOf(segments));
        const refused = all.filter((_, index) => which.includes(index));
        // some are replayed while the stream is half through
        const middle = segmentsOf(transactions.slice(0, Math.max(1, half % transactions.length)), new Set());
        await applyWithout('aggregate', middle, refused.filter((position) => position <= endOf(middle)));
        for (const { id } of (await world.kept('aggregate')).slice(0, 2)) expect(await replayOne(id)).toBe('replayed');
        await applyWithout('aggregate', segments, refused.filter((position) => position > endOf(middle)));
        const letters = (await world.kept('aggregate')).filter(({ state }) => state === 'waiting');
        // two at once, for one letter
        for (const { id } of letters) expect(new Set(await Promise.all([replayOne(id), replayOne(id)]))).toEqual(new Set(['replayed', 'settled']));
        expect(await sums(horizonMs)).toEqual(expected);
      }),
      { numRuns: 15 },
    );
  });
});
