import { ensurePipelines } from '../client/pipelines.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import type { World } from './world.ts';

/** What core/load-anew.ts tells a person to type, step by step; the worker stands for the whole instance. */
export async function loadAnew(world: World, signal: AbortSignal, beforeStart: () => Promise<void> = async () => {}): Promise<void> {
  await world.state.query("update sluice.shard set state = 'loading' where pipeline = $1", [world.name]);
  await world.temporal((client) => client.workflow.getHandle(pipelineWorkflowId(world.name)).terminate('it is loaded anew'));
  await world.processes.stop('worker');
  await beforeStart();
  await world.processes.start('worker', signal);
  await ensurePipelines(world.config, [world.name]);
}
