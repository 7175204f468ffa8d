import { Context } from '@temporalio/activity';
import { expect, test } from 'vitest';
import { beating } from '../../activities/beating.ts';
import { services } from '../embedded/services.ts';
import { RunningPipeline, Stage } from './stage.ts';

test('E22: what a worker that is to end had in hand goes on with another one at once, not when its heartbeats are missed', async () => {
  const stage = new Stage();
  const attempts = [Promise.withResolvers<number>(), Promise.withResolvers<number>()];
  stage.beside.explainWindow = ({ pipeline, view }) => {
    const context = Context.current();
    const { attempt } = context.info;
    attempts[attempt - 1]!.resolve(performance.now());
    return beating(async () => {
      if (attempt === 1) await context.sleep(60_000);
      return { pipeline, view, fromMs: 0, toMs: 60_000, verdict: 'equal', sinks: [] } as never;
    });
  };
  const { temporalAddress } = services();
  await using pipeline = await RunningPipeline.start(stage, temporalAddress);
  const handle = await pipeline.client.workflow.start('explain', { workflowId: `explain/${stage.name}`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, atMs: 0, view: 'top' }] });
  await attempts[0]!.promise;
  await using _ = await pipeline.otherWorker(temporalAddress);
  const endedAt = performance.now();
  expect((await attempts[1]!.promise) - endedAt).toBeLessThan(8_000);
  await handle.terminate('the test is over').catch(() => {});
});
