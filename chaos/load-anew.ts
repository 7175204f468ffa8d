import { ensurePipelines } from '../client/pipelines.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

/** What core/load-anew.ts tells a person to type, step by step; the worker stands for the whole instance. */
export async function loadAnew(world: World, signal: AbortSignal, beforeStart: () => Promise<void> = async () => {}): Promise<void> {
  const marked = async () => (await world.state.query("update sluice.shard set state = 'loading' where pipeline = $1", [world.name])).rowCount === 1;
  await until('the state database to take it', marked, { timeoutMs: 60_000, signal });
  await world.temporal((client) => client.workflow.getHandle(pipelineWorkflowId(world.name)).terminate('it is loaded anew'));
  await world.processes.stop('worker');
  await beforeStart();
  await world.processes.start('worker', signal);
  await ensurePipelines(world.config, [world.name]);
}
