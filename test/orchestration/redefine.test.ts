import { WorkflowFailedError } from '@temporalio/client';
import { expect, test } from 'vitest';
import type { RedefineStatus } from '../../core/redefine.ts';
import { services } from '../embedded/services.ts';
import { plan, Redefining, start, untilPhase } from './redefining.ts';
import { at, laneState, lanes, refused, RunningPipeline, waited } from './stage.ts';

async function running(redefining: Redefining): Promise<RunningPipeline> {
  const pipeline = await RunningPipeline.start(redefining.stage, services().temporalAddress);
  await pipeline.until(() => redefining.stage.running.size === 4);
  return pipeline;
}

const messageOf = async (result: Promise<unknown>): Promise<string> => {
  const error = await result.then(() => undefined, (failure: unknown) => failure);
  if (!(error instanceof WorkflowFailedError)) throw error ?? new Error('it did not fail');
  return error.cause!.message;
};

test('a pipeline becomes another when nothing of it runs, is filled while it streams, and gets its new lane when that is complete', async () => {
  const redefining = new Redefining();
  const { stage, did } = redefining;
  const filling = Promise.withResolvers<void>();
  redefining.filled = async () => {
    await filling.promise;
    return { ended: 'done', rows: 5, text: '' };
  };
  await using pipeline = await running(redefining);
  const handle = await start(pipeline);
  await untilPhase(pipeline, 'fills devices');
  await pipeline.until(() => stage.running.size === 4);
  const hashes = new Set<string>();
  stage.step = async (input, part) => {
    hashes.add(input.definitionHash);
    return stage.plainStep(input, part);
  };
  stage.stepMs = 300;
  await pipeline.handle.executeUpdate('reload');
  await pipeline.until(({ lanes: now }) => hashes.size > 0 && now.length === lanes.length);
  expect([...hashes]).toEqual(['second']);
  filling.resolve();
  expect((await handle.result()) as RedefineStatus).toMatchObject({ state: 'done', rows: 12, error: null });
  expect(did).toEqual(['prepares', 'takes over: become, and 0 steps run', 'says', 'fills panes', 'fills lanes', 'takes over: join, and 0 steps run']);
  await pipeline.until((status) => laneState(status, 'copy') === 'running' && stage.running.size === 5);
  expect(redefining.state).toBe('done');
});

test('E18: it does not become another before its aggregate lane has all that was captured', async () => {
  const redefining = new Redefining();
  const { stage, did } = redefining;
  let aggregate = 50;
  stage.step = async (input, part) => {
    if (part !== 'aggregate') return stage.plainStep(input, part);
    while (input.until !== undefined && at(aggregate) < input.until) await waited(20, new AbortController().signal);
    if (input.until !== undefined) return { ended: 'held', fence: at(aggregate), segments: 0, events: 0 };
    return { ...(await stage.plainStep(input, part)), fence: at(aggregate) };
  };
  await using pipeline = await running(redefining);
  const handle = await start(pipeline);
  await pipeline.until(() => stage.began.some(({ part, until }) => part === 'aggregate' && until === at(100)));
  expect(did).toEqual(['prepares']);
  // others go on meanwhile
  expect([...stage.running].toSorted()).toEqual(['aggregate', 'board', 'enriched']);
  aggregate = 100;
  await handle.result();
  expect(did[1]).toBe('takes over: become, and 0 steps run');
});

test('what ended is forgotten, and its lane with it', async () => {
  const redefining = new Redefining();
  redefining.plan = { ...plan, ended: ['board'], drops: { board: { kind: 'results', table: 'results.board' } }, loads: [], fills: [], again: [] };
  await using pipeline = await running(redefining);
  const { takeOver } = redefining.stage;
  redefining.stage.takeOver = async (input) => {
    await takeOver(input);
    redefining.stage.lanes = lanes.filter(({ name }) => name !== 'board');
  };
  await (await start(pipeline)).result();
  await pipeline.until((status) => laneState(status, 'board') === undefined && redefining.stage.running.size === 3);
  expect(redefining.did).toEqual(['prepares', 'takes over: become, and 0 steps run', 'drops']);
});

test('refused, or cancelled, before the pipeline takes over, nothing has changed', async () => {
  const redefining = new Redefining();
  redefining.preparing = async () => {
    throw refused('ClickHouse table copy is sorted by something else.');
  };
  await using pipeline = await running(redefining);
  expect(await messageOf((await start(pipeline)).result())).toBe('ClickHouse table copy is sorted by something else. Nothing was changed.');
  expect(redefining).toMatchObject({ state: 'cancelled', did: ['prepares'] });

  redefining.state = 'planned';
  const preparing = Promise.withResolvers<void>();
  redefining.preparing = () => preparing.promise;
  const handle = await start(pipeline, 2);
  await untilPhase(pipeline, 'makes what', 2);
  await handle.cancel();
  preparing.resolve();
  await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
  expect(redefining).toMatchObject({ state: 'cancelled', error: 'it was cancelled. Nothing was changed.', did: ['prepares', 'prepares'] });
  await pipeline.until(() => redefining.stage.running.size === 4);
});

test('stopped after that, the next one goes on with what is not complete', async () => {
  const redefining = new Redefining();
  redefining.filled = async () => {
    throw refused('Table public.t does not exist in the source.');
  };
  await using pipeline = await running(redefining);
  expect(await messageOf((await start(pipeline)).result())).toBe(`Table public.t does not exist in the source. What was added is not complete: ./sluice apply ${redefining.stage.name} goes on with it.`);
  expect(redefining.state).toBe('filling');
  await pipeline.until(() => redefining.stage.running.size === 4);
  redefining.filled = async () => ({ ended: 'done', rows: 5, text: '' });
  await (await start(pipeline)).result();
  expect(redefining.did.slice(4)).toEqual(['says', 'fills panes', 'fills lanes', 'takes over: join, and 0 steps run']);
});

test('a pipeline that is paused, or held, is not changed; what it is refused for leaves it as it was', async () => {
  const redefining = new Redefining();
  await using pipeline = await running(redefining);
  const asked = (what = 'become') => pipeline.handle.executeUpdate('redefine', { args: [1, what] });
  await pipeline.handle.executeUpdate('stopCapture', { args: [{ timeoutMs: 60_000 }] });
  await expect(asked()).rejects.toMatchObject({ cause: { message: expect.stringContaining('held already') } });
  await pipeline.handle.signal('releaseHold');
  await pipeline.handle.signal('pause');
  await pipeline.until(({ state }) => state === 'paused');
  await expect(asked()).rejects.toMatchObject({ cause: { message: expect.stringContaining('is paused') } });
  await pipeline.handle.signal('resume');
  await pipeline.until(() => redefining.stage.running.size === 4);
  redefining.stage.takeOver = async () => {
    throw refused('pipelines/p.ts is another than when it was planned.');
  };
  await expect(asked()).rejects.toMatchObject({ cause: { message: 'pipelines/p.ts is another than when it was planned.' } });
  await pipeline.until((status) => status.state === 'running' && redefining.stage.running.size === 4);
  expect((await pipeline.status()).lanes.map(({ state }) => state)).toEqual(['running', 'running', 'running']);
});

test('destroyed while it is filled, or after a lane has joined, it ends', async () => {
  const redefining = new Redefining();
  await using pipeline = await running(redefining);
  await (await start(pipeline)).result();
  await pipeline.until((status) => laneState(status, 'copy') === 'running' && redefining.stage.running.size === 5);
  await pipeline.handle.cancel();
  await expect(pipeline.handle.result()).rejects.toThrow(WorkflowFailedError);
  expect((await pipeline.handle.describe()).status.name).toBe('CANCELLED');
});

test('panes that come nowhere, as a lane does not follow, let it rest; when the lane goes on, so do they', async () => {
  const redefining = new Redefining();
  const steps = () => redefining.did.filter((each) => each === 'fills panes').length;
  redefining.filled = async () => ({ ended: steps() < 3 ? 'goes on' : 'time', isFurther: steps() === 3, rows: 5, text: '' });
  await using pipeline = await running(redefining);
  const handle = await start(pipeline);
  const rests = async () => ((await handle.fetchHistory()).events ?? []).flatMap(({ timerStartedEventAttributes: timer }) => (timer ? [Number(timer.startToFireTimeout!.seconds)] : []));
  await expect.poll(rests, { timeout: 10_000 }).toEqual([30]);
  expect(steps()).toBe(4);
});
