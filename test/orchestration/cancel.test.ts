import { CancelledFailure, WorkflowFailedError } from '@temporalio/client';
import { expect, test } from 'vitest';
import { services } from '../embedded/services.ts';
import type { HoldReport } from '../../workflows/messages.ts';
import { at, RunningPipeline, Stage } from './stage.ts';

/** What a hold, or an update, leaves waiting must not keep a cancelled workflow from its end: then it would be unreachable until it is terminated. */
async function cancelled(pipeline: RunningPipeline): Promise<void> {
  const { handle, stage } = pipeline;
  await handle.cancel();
  const error = await handle.result().catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(WorkflowFailedError);
  expect((error as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
  expect(stage.running.size).toBe(0);
}

const start = async (stage = new Stage()) => {
  const pipeline = await RunningPipeline.start(stage, services().temporalAddress);
  await pipeline.until(() => pipeline.stage.running.size === 4);
  return pipeline;
};

test('a pipeline whose workflow is cancelled while its lanes are held ends, all steps before it', async () => {
  await using pipeline = await start();
  await pipeline.handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(100), timeoutMs: 60_000 }] });
  await cancelled(pipeline);
});

test('so it does while its capture is stopped for a comparison', async () => {
  await using pipeline = await start();
  await pipeline.handle.executeUpdate<void, [object]>('stopCapture', { args: [{ timeoutMs: 60_000 }] });
  await cancelled(pipeline);
});

test('so it does while a drain waits for a lane, and whoever drained hears of it', async () => {
  const stage = new Stage();
  stage.step = async (input, part) => ({ ...(await stage.plainStep(input, part)), ...(part === 'capture' ? { fence: at(300) } : {}) });
  await using pipeline = await start(stage);
  const drained = pipeline.handle.executeUpdate('drain').catch((error: Error) => error);
  await pipeline.until(() => stage.began.filter(({ until }) => until === at(300)).length === 3);
  await cancelled(pipeline);
  expect(await drained).toBeInstanceOf(Error);
});
