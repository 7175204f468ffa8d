import { Context } from '@temporalio/activity';
import { describe, expect, test } from 'vitest';
import { Reachability } from '../../activities/reachability.ts';
import { Runtime } from '../../activities/runtime.ts';
import { runStep, watchStop } from '../../activities/step.ts';
import { stopSteps } from '../../activities/stop-steps.ts';
import { parseConfig } from '../../core/config.ts';
import { pipelineWorkflowId } from '../../core/workflow-names.ts';
import type { HoldReport } from '../../workflows/messages.ts';
import type { PipelineInput } from '../../workflows/pipeline.ts';
import { services } from '../embedded/services.ts';
import { stateBehindProxy } from '../embedded/state-behind-proxy.ts';
import { at, laneState, RunningPipeline, Stage, waited } from './stage.ts';

const heartbeatMs = 10_000;
/** Steps have only just begun: with their first heartbeat they would hear of it after 10 s. Half of that tells the two apart, also on a machine that is slow. */
const soonMs = heartbeatMs / 2;
const never = new AbortController().signal;

/** A pipeline with rare heartbeats whose steps are framed as all are, and wait for their end. The worker hears of the state database on a way that can be cut. */
async function open(options: { readonly input?: Partial<PipelineInput>; readonly toldThroughWay?: boolean; readonly loads?: boolean } = {}) {
  await using stack = new AsyncDisposableStack();
  const { state, url: stateUrl, way } = await stateBehindProxy(stack);

  const { sourceUrl, redisUrl, clickhouseUrl, temporalAddress } = services();
  const config = parseConfig({ SLUICE_SOURCE_URL: sourceUrl, SLUICE_STATE_URL: stateUrl, SLUICE_REDIS_URL: redisUrl, SLUICE_CLICKHOUSE_URL: clickhouseUrl, TEMPORAL_ADDRESS: temporalAddress });
  const runtime = new Runtime(config, {}, new Reachability(async () => {}, 1_000_000));
  stack.defer(() => runtime.close());
  stack.defer(() => way.set({ tag: 'pass' }));
  const { hash } = await runtime.definition('trending');

  const stage = new Stage();
  stage.heartbeatMs = heartbeatMs;
  stage.stepMs = 300_000;
  stage.stopSteps = (input) => stopSteps(options.toldThroughWay ? runtime : { state }, input);
  stage.step = (input, part) =>
    runStep(runtime, part, { ...input, pipeline: 'trending', definitionHash: hash }, async ({ signal, progress }) => {
      progress.fence = input.until ?? at(stage.lsn);
      if (input.until !== undefined) return 'held';
      await waited(input.durationMs, signal);
      return 'asked';
    });
  let loading = options.loads ?? false;
  stage.loaded = !loading;
  stage.load = async ({ number }) => {
    const end = new AbortController();
    const unwatch = watchStop(runtime, 'capture', number, () => end.abort());
    if (loading) await waited(300_000, end.signal);
    unwatch();
    if (end.signal.aborted) throw new Error('the first load was asked to stop');
  };
  const pipeline = stack.use(await RunningPipeline.start(stage, temporalAddress, options.input));
  await pipeline.until(() => (loading ? stage.loads === 1 : stage.running.size === 4));
  const owned = stack.move();
  const letLoad = () => (loading = false);
  return { pipeline, stage, way, state, letLoad, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function takes(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work;
  return performance.now() - startedAt;
}

const pausedIn = (pipeline: RunningPipeline) => takes(pipeline.handle.signal('pause').then(() => pipeline.until(({ state }) => state === 'paused', 2 * heartbeatMs)));
const laneIn = (pipeline: RunningPipeline, signal: 'pauseLane' | 'resumeLane', lane: string) =>
  takes(pipeline.handle.signal(signal, lane).then(() => pipeline.until((status) => laneState(status, lane) === (signal === 'pauseLane' ? 'paused' : 'running') && pipeline.stage.running.has(lane) === (signal === 'resumeLane'), 2 * heartbeatMs)));
const runOf = async (pipeline: RunningPipeline) => (await pipeline.handle.describe()).runId;
const stepsOf = (stage: Stage, part: string) => stage.began.filter((step) => step.part === part).length;

describe('E26: with a heartbeat each 10 s', () => {
  test('a pause, and one of a lane, take no longer than with one each second', async () => {
    await using place = await open();
    const { pipeline, stage } = place;
    expect(await laneIn(pipeline, 'pauseLane', 'enriched')).toBeLessThan(soonMs);
    expect(stage.running.size).toBe(3);
    expect(stage.began).toHaveLength(4);
    await laneIn(pipeline, 'resumeLane', 'enriched');
    expect(await pausedIn(pipeline)).toBeLessThan(soonMs);
    const { capture, lanes } = await pipeline.status();
    expect([capture, ...lanes].map(({ last }) => last?.ended)).toEqual(['asked', 'asked', 'asked', 'asked']);
  });

  test('nor do a hold and a drain', async () => {
    await using place = await open();
    const { pipeline } = place;
    const { handle } = pipeline;
    const hold = async () => {
      await handle.executeUpdate<void, [object]>('stopCapture', { args: [{ timeoutMs: 60_000 }] });
      const { notHeld } = await handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(100), timeoutMs: 60_000 }] });
      expect(notHeld).toEqual({});
    };
    expect(await takes(hold())).toBeLessThan(soonMs);
    await handle.signal('releaseHold');
    await pipeline.until(() => place.stage.running.size === 4);
    expect(await takes(handle.executeUpdate('drain').then(() => pipeline.until(({ state }) => state === 'paused')))).toBeLessThan(soonMs);
  });

  test('E21: nor does a fresh run, which tells its own steps, with numbers from 1 again', async () => {
    await using place = await open({ input: { rotateAtEvents: 1 } });
    const { pipeline, stage } = place;
    const before = await runOf(pipeline);
    const fresh = async () => {
      await pipeline.handle.signal('pauseLane', 'enriched');
      await pipeline.until(() => stage.began.length === 7 && stage.running.size === 3, 2 * heartbeatMs);
    };
    expect(await takes(fresh())).toBeLessThan(soonMs);
    expect(await runOf(pipeline)).not.toBe(before);
    expect(await pausedIn(pipeline)).toBeLessThan(soonMs);
    const { rows } = await place.state.query<{ numbers: number[] }>('select array_agg(number order by number) as numbers from sluice.stopped_step group by run order by min(stopped_at)');
    expect(rows.map(({ numbers }) => numbers)).toEqual([[1, 2, 3, 4], [1, 2, 3]]);
  });

  test('nor does a first load, which is given up and begins anew', async () => {
    await using place = await open({ loads: true });
    const { pipeline, stage } = place;
    expect(await pausedIn(pipeline)).toBeLessThan(soonMs);
    const given = stage.loads;
    place.letLoad();
    await pipeline.handle.signal('resume');
    await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
    expect(stage.loads).toBe(given + 1);
  });

  test('nor does the end of a workflow that is cancelled', async () => {
    await using place = await open();
    const { pipeline } = place;
    const cancelled = () => pipeline.handle.cancel().then(() => pipeline.handle.result()).catch(() => {});
    expect(await takes(cancelled())).toBeLessThan(soonMs);
    expect(place.stage.running.size).toBe(0);
  });

  test('a pause that nobody is told of comes with the heartbeat', async () => {
    await using place = await open();
    const { pipeline, way } = place;
    way.down();
    const ms = await pausedIn(pipeline);
    expect(way.counts.cut).toBeGreaterThan(0);
    expect(ms).toBeGreaterThan(soonMs);
    expect(ms).toBeLessThan(heartbeatMs + soonMs);
  });

  test('one that is missed while the connection is away is heard when it is back', async () => {
    await using place = await open();
    const { pipeline, way, state } = place;
    way.down();
    await pipeline.handle.signal('pause');
    for (let stopped = 0; stopped < 4; await waited(20, never)) stopped = (await state.query('select from sluice.stopped_step')).rowCount!;
    expect(place.stage.running.size).toBe(4);
    way.set({ tag: 'pass' });
    expect(await pipeline.until(({ state: now }) => now === 'paused', heartbeatMs)).toBeLessThan(soonMs);
  });

  test('a state database that does not answer delays a pause by a second, and the heartbeat brings it', async () => {
    await using place = await open({ toldThroughWay: true });
    const { pipeline, way } = place;
    way.set({ tag: 'hold', what: 'all' });
    const paused = pausedIn(pipeline);
    expect(await pipeline.until(({ state }) => state === 'draining')).toBeLessThan(soonMs);
    const ms = await paused;
    expect(way.counts.held).toBeGreaterThan(0);
    expect(ms).toBeGreaterThan(soonMs);
    expect(ms).toBeLessThan(heartbeatMs + soonMs);
  });
});

describe('E26: who is told to stop, and when', () => {
  test('a step that begins after it was stopped ends at once', async () => {
    await using place = await open();
    const { pipeline, stage, state } = place;
    const framed = stage.step;
    const late = Promise.withResolvers<void>();
    stage.step = async (input, part) => {
      await late.promise;
      return framed(input, part);
    };
    await pipeline.handle.signal('pauseLane', 'enriched');
    await pipeline.until(() => !stage.running.has('enriched'));
    await pipeline.handle.signal('resumeLane', 'enriched');
    await pipeline.until(() => stage.running.has('enriched'));
    await pipeline.handle.signal('pauseLane', 'enriched');
    for (let number = 0; number < 5; await waited(20, never)) number = (await state.query<{ number: number }>(`select number from sluice.stopped_step where part = 'enriched'`)).rows[0]?.number ?? 0;
    expect(stage.running.has('enriched')).toBe(true);
    late.resolve();
    expect(await pipeline.until((status) => laneState(status, 'enriched') === 'paused', heartbeatMs)).toBeLessThan(soonMs);
  });

  test('so does an attempt that begins before the server has heard of the stop', async () => {
    await using place = await open();
    const { pipeline, stage } = place;
    const framed = stage.step;
    const attempts: number[] = [];
    let second = Promise.withResolvers<void>();
    const tell = stage.stopSteps;
    await laneIn(pipeline, 'pauseLane', 'enriched');
    // the task in which the step is cancelled is not answered before the local activity in it has ended
    stage.stopSteps = async (input) => {
      await tell(input);
      await second.promise;
    };
    stage.step = async (input, part) => {
      const { attempt } = Context.current().info;
      attempts.push(attempt);
      const result = await framed(input, part);
      if (attempt === 1) throw new Error('the worker was lost');
      second.resolve();
      return result;
    };
    // the local activity has a second: on a busy machine the next attempt may not begin in it, and then never does
    for (let round = 0; round < 5 && attempts.length < 2; round++) {
      attempts.length = 0;
      second = Promise.withResolvers();
      await laneIn(pipeline, 'resumeLane', 'enriched');
      expect(await laneIn(pipeline, 'pauseLane', 'enriched')).toBeLessThan(soonMs);
    }
    expect(attempts).toEqual([1, 2]);
    expect((await pipeline.status()).lanes.find(({ name }) => name === 'enriched')?.last?.ended).toBe('asked');
  });

  test('a workflow that is terminated and started anew is not held up by what the one before it has stopped', async () => {
    await using place = await open();
    const { pipeline, stage } = place;
    for (let times = 0; times < 2; times++) {
      await laneIn(pipeline, 'pauseLane', 'enriched');
      await laneIn(pipeline, 'resumeLane', 'enriched');
    }
    await pipeline.handle.terminate();
    const before = stepsOf(stage, 'enriched');
    await pipeline.client.workflow.start('pipeline', { workflowId: pipelineWorkflowId(stage.name), taskQueue: stage.taskQueue, args: [{ name: stage.name }] });
    await pipeline.until(({ state }) => state === 'running' && stepsOf(stage, 'enriched') === before + 1);
    // by then its worker has read the rows of both
    expect(await laneIn(pipeline, 'pauseLane', 'board')).toBeLessThan(soonMs);
    expect(stepsOf(stage, 'enriched')).toBe(before + 1);
    expect(await laneIn(pipeline, 'pauseLane', 'enriched')).toBeLessThan(soonMs);
  });

  test('nor is one that an operator has set back', async () => {
    await using place = await open();
    const { pipeline, stage } = place;
    for (let times = 0; times < 2; times++) {
      await laneIn(pipeline, 'pauseLane', 'enriched');
      await laneIn(pipeline, 'resumeLane', 'enriched');
    }
    const before = stepsOf(stage, 'enriched');
    const { events } = await pipeline.handle.fetchHistory();
    const begun = events!.findLast((event, index) => event.workflowTaskCompletedEventAttributes && events!.slice(index).filter((each) => each.activityTaskScheduledEventAttributes).length >= 4 + 2)!;
    const { client } = pipeline;
    const { runId } = await client.workflowService.resetWorkflowExecution({
      namespace: client.options.namespace,
      workflowExecution: { workflowId: pipelineWorkflowId(stage.name), runId: await runOf(pipeline) },
      workflowTaskFinishEventId: begun.eventId!,
      resetReapplyType: reapplyNothing as never,
      reason: 'a test',
      requestId: stage.name,
    });
    expect(await runOf(pipeline)).toBe(runId);
    await pipeline.until(({ state }) => state === 'running' && stepsOf(stage, 'enriched') === before + 1);
    expect(await laneIn(pipeline, 'pauseLane', 'board')).toBeLessThan(soonMs);
    expect(stepsOf(stage, 'enriched')).toBe(before + 1);
    expect(await laneIn(pipeline, 'pauseLane', 'enriched')).toBeLessThan(soonMs);
  });
});

/** temporal.api.enums.v1.ResetReapplyType: the pauses do not come again. */
const reapplyNothing = 2;
