import { expect, test } from 'vitest';
import { stuckTask } from '../../client/stuck-task.ts';
import { services } from '../embedded/services.ts';
import { RunningPipeline, Stage } from './stage.ts';

test('what Temporal says of a workflow whose task fails again and again, and of one that no worker takes', async () => {
  await using pipeline = await RunningPipeline.start(new Stage(), services().temporalAddress);
  const { client, stage } = pipeline;
  const stuck = (id: string) => stuckTask(client, id, Date.now());
  expect(await stuck(pipeline.handle.workflowId)).toBeUndefined();

  const failing = await client.workflow.start('nobody', { workflowId: `${stage.name}/failing`, taskQueue: stage.taskQueue, args: [] });
  await expect.poll(() => stuck(failing.workflowId), { timeout: 30_000, interval: 200 }).toMatch(/^its workflow does not get on: its last task failed (once|\d+ times) \(.*nobody.*\); see \.\/sluice logs worker$/s);
  await failing.terminate();

  const untaken = await client.workflow.start('pipeline', { workflowId: `${stage.name}/untaken`, taskQueue: `${stage.taskQueue} of nobody`, args: [{ name: stage.name }] });
  await expect.poll(() => stuck(untaken.workflowId), { timeout: 30_000, interval: 200 }).toMatch(/^no worker has taken its workflow's task for \d+ s/);
  await untaken.terminate();
});
