import { expect, test } from 'vitest';
import { services } from '../embedded/services.ts';
import type { HoldReport } from '../../workflows/messages.ts';
import { at, RunningPipeline, Stage, waited } from './stage.ts';

const never = new AbortController().signal;
const stop = (pipeline: RunningPipeline, timeoutMs: number) => pipeline.handle.executeUpdate<void, [object]>('stopCapture', { args: [{ timeoutMs }] });

test('a capture that was stopped stays so in a fresh run, and goes on when its time is over', async () => {
  const stage = new Stage();
  stage.stepMs = 300;
  await using pipeline = await RunningPipeline.start(stage, services().temporalAddress, { rotateAtEvents: 60 });
  await pipeline.until(() => stage.running.size === 4);
  const { runId } = await pipeline.handle.describe();
  await stop(pipeline, 10_000);
  while ((await pipeline.handle.describe()).runId === runId) await waited(50, never);
  await pipeline.until(({ capture }) => capture.state === 'held' && stage.running.size === 3);
  await pipeline.until(({ capture }) => capture.state === 'running' && stage.running.has('capture'), 15_000);
});

test('it goes on as soon as no lane runs a step that knows nothing of the position', async () => {
  const stage = new Stage();
  const slow = Promise.withResolvers<void>();
  let lingers = false;
  stage.step = async (input, part) => {
    const result = await stage.plainStep(input, part);
    if (part !== 'enriched' || input.until !== undefined) return result;
    lingers = true;
    return slow.promise.then(() => result);
  };
  await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
  await pipeline.until(() => stage.running.size === 4);
  await stop(pipeline, 60_000);
  const held = pipeline.handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(200), timeoutMs: 60_000 }] });
  await pipeline.until(() => lingers && stage.began.filter(({ until }) => until === at(200)).length === 2);
  expect((await pipeline.status()).capture.state).toBe('held');
  expect(stage.running.has('capture')).toBe(false);
  slow.resolve();
  await pipeline.until(({ capture }) => capture.state === 'running' && stage.running.size === 4);
  stage.lsn = 200;
  expect((await held).notHeld).toEqual({});
  await pipeline.handle.signal('releaseHold');
});
