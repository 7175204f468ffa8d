import { CancelledFailure, Context } from '@temporalio/activity';
import { WorkflowNotFoundError, type WorkflowHandle } from '@temporalio/client';
import { gapOf } from '../connectors/postgres/gap.ts';
import { readOpenChange } from '../connectors/postgres/schema-changes.ts';
import { markForLoad, readShard } from '../connectors/postgres/shard-state.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { TransientError } from '../connectors/transient-error.ts';
import { BadInput } from '../core/bad-input.ts';
import { pause } from '../core/clock.ts';
import type { PipelineState } from '../core/pipeline-state.ts';
import { nothingToRecover, type RecoveryPlan } from '../core/recovery.ts';
import { planOf } from '../core/recovery-plan.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import { beating } from './beating.ts';
import { failing } from './failures.ts';
import { lookAtLanes } from './lost-lanes.ts';
import type { Rewritten, RewriteInput } from './rewrite-lane.ts';
import type { Runtime } from './runtime.ts';

/** What the recovery workflow sees, and the pipeline's own. */
export type RecoveryActivities = {
  planRecovery(input: RecoveryTarget & { readonly lane?: string }): Promise<RecoveryPlan>;
  /** Writes all rows of one destination again while the stream goes on. */
  rewriteLane(input: RewriteInput): Promise<Rewritten>;
  /** Tells the pipeline's workflow to begin anew, unless a load after `epoch` has begun. Returns the epoch that the load must be above. */
  beginAnew(input: RecoveryTarget & { readonly epoch?: number | undefined }): Promise<number>;
  /** Returns when the load of a later epoch has ended. Throws what it is refused for. */
  untilLoaded(input: RecoveryTarget & { readonly above: number }): Promise<void>;
};

export type RecoveryTarget = { readonly pipeline: string };

type RecoveryRuntime = Pick<Runtime, 'config' | 'state' | 'definition' | 'declared' | 'log' | 'undecided' | 'destinations'>;

export function planRecovery(runtime: RecoveryRuntime, { pipeline: name, lane }: RecoveryTarget & { readonly lane?: string }): Promise<RecoveryPlan> {
  return failing(async () => {
    const { pipeline } = await runtime.definition(name);
    const shard = await readShard(runtime.state, name);
    if (!shard) throw new BadInput(nothingToRecover(name));
    const log = await runtime.log(name);
    const { gap, rows } = await gapOf(runtime.config.sourceUrl, pipeline, shard, async () => (await readShard(runtime.state, name))?.confirmed, log, await runtime.undecided(name));
    const looks = await lookAtLanes(runtime, name);
    return planOf({
      pipeline,
      epoch: shard.epoch,
      isLoaded: shard.state === 'streaming',
      gap,
      rows,
      tail: (await log.tail())?.to,
      openChange: await readOpenChange(runtime.state, name, shard.epoch),
      lanes: looks,
      asked: lane,
    });
  });
}

export function beginAnew({ state }: RecoveryRuntime, { pipeline, epoch }: RecoveryTarget & { readonly epoch?: number | undefined }): Promise<number> {
  return failing(async () => {
    const found = (await readShard(state, pipeline))?.epoch ?? 0;
    const above = epoch ?? found;
    // an attempt before this one was heard
    if (found > above) return above;
    try {
      await workflowOf(pipeline).executeUpdate('loadAnew', { args: [above] });
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) throw new ConfigurationError(`Pipeline ${pipeline} does not run: its workflow ${pipelineWorkflowId(pipeline)} was never started, or was ended. Type: ./sluice apply ${pipeline}`);
      throw new TransientError(`the workflow of ${pipeline} could not be told: ${(error as Error).message}`, { cause: error });
    }
    return above;
  });
}

export function untilLoaded({ state }: RecoveryRuntime, { pipeline, above }: RecoveryTarget & { readonly above: number }): Promise<void> {
  const context = Context.current();
  let told: object | undefined;
  return beating(async () => {
    for (;;) {
      const shard = await readShard(state, pipeline);
      if (shard && shard.epoch > above && shard.state === 'streaming') return;
      told = { epoch: shard?.epoch, state: shard?.state };
      if (context.cancellationSignal.aborted) throw new CancelledFailure('asked to stop');
      const { state: now, error } = await workflowOf(pipeline).query<PipelineAnswer>('status').catch(() => unanswered);
      if (now === 'parked') throw new ConfigurationError(`The load of ${pipeline} was refused: ${error} When that is mended, type ./sluice resume ${pipeline}: it goes on with the load.`);
      await pause(systemClock, lookMs, context.cancellationSignal);
    }
  }, () => told);
}

function workflowOf(pipeline: string): WorkflowHandle {
  return Context.current().client.workflow.getHandle(pipelineWorkflowId(pipeline));
}

/** Of what the pipeline's workflow says of itself. */
type PipelineAnswer = { readonly state: PipelineState | undefined; readonly error: string | null };

const unanswered: PipelineAnswer = { state: undefined, error: null };

/** For the pipeline's workflow, when nothing of it runs any more. Again, after a load has begun, it changes nothing. */
export function forgetLoad({ state }: Pick<Runtime, 'state'>, { pipeline, epoch }: RecoveryTarget & { readonly epoch: number }): Promise<void> {
  return failing(() => markForLoad(state, pipeline, epoch));
}

const lookMs = 2_000;
