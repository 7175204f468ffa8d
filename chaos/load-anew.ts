import { ensurePipelines } from '../client/pipelines.ts';
import { recoverPipeline } from '../client/recoveries.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

/** What core/load-anew.ts tells a person to type. If something is to happen before the load begins, by hand: while no worker runs. */
export async function loadAnew(world: World, signal: AbortSignal, beforeStart?: () => Promise<void>): Promise<void> {
  if (!beforeStart) return recovered(world, signal);
  const marked = async () => (await world.state.query("update sluice.shard set state = 'loading' where pipeline = $1", [world.name])).rowCount === 1;
  await until('the state database to take it', marked, { timeoutMs: 60_000, signal });
  await world.temporal((client) => client.workflow.getHandle(pipelineWorkflowId(world.name)).terminate('it is loaded anew'));
  await world.processes.stop('worker');
  await beforeStart();
  await world.processes.start('worker', signal);
  await ensurePipelines(world.config, [world.name]);
}

/** Returns when the load has begun: it may be meant to be refused. */
async function recovered(world: World, signal: AbortSignal): Promise<void> {
  const before = await epochOf(world);
  let failure: unknown;
  recoverPipeline(world.config, world.name, { approve: async () => true }).catch((error: unknown) => (failure = error));
  const begun = async () => {
    if (failure !== undefined) throw failure;
    const { rows } = await world.state.query('select from sluice.shard where pipeline = $1 and (epoch > $2 or state = $3)', [world.name, before, 'loading']);
    return rows.length > 0;
  };
  await until('the pipeline to be loaded anew', begun, { timeoutMs: 150_000, everyMs: 100, signal });
}

/** Of the newest load that has begun. */
export async function epochOf({ state, name }: World): Promise<number> {
  const { rows } = await state.query<{ epoch: string }>('select epoch from sluice.shard where pipeline = $1', [name]);
  return Number(rows[0]!.epoch);
}
