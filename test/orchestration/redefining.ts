import { Context } from '@temporalio/activity';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { Filled } from '../../activities/redefine-fill.ts';
import { redefineWorkflowId, type RedefinePlan, type RedefineState, type RedefineStatus } from '../../core/redefine.ts';
import { lanes, type RunningPipeline, Stage, waited } from './stage.ts';

export const plan: RedefinePlan = { impossible: [], loses: [], says: ['sink copy is new'], ended: [], drops: {}, recreated: [], loads: ['copy'], lives: [], fills: ['devices'], again: ['hourly'], emptied: [], freshSets: ['devices'], droppedSets: [] };

/** A pipeline that becomes another; what its redefinition did, in order. */
export class Redefining {
  readonly stage = new Stage();
  readonly did: string[] = [];
  plan = plan;
  state: RedefineState = 'planned';
  error: string | null = null;
  preparing = async (): Promise<void> => {};
  filled: () => Promise<Filled> = async () => ({ ended: 'done', rows: 5, text: '' });

  constructor() {
    const { stage, did } = this;
    stage.takeOver = async ({ what }) => {
      did.push(`takes over: ${what}, and ${stage.running.size} steps run`);
      if (what === 'become') [this.state, stage.definitionHash] = ['filling', 'second'];
      else stage.lanes = [...lanes, { name: 'copy', kind: 'clickhouse', reads: 'segments' }];
    };
    stage.beside = {
      readPlan: async () => ({ state: this.state, plan: this.plan }),
      prepareRedefinition: async () => {
        did.push('prepares');
        await this.preparing();
      },
      askToTakeOver: async ({ pipeline, number, what }) => {
        const context = Context.current();
        for (;;) {
          context.heartbeat();
          if (what === 'become' && this.state !== 'planned') return;
          try {
            await context.client.workflow.getHandle(`pipeline/${pipeline}`).executeUpdate('redefine', { args: [number, what] });
            return;
          } catch (error) {
            if (!(error instanceof WorkflowUpdateFailedError)) throw error;
            await context.sleep(50);
          }
        }
      },
      sayKept: async () => void did.push('says'),
      fillPanes: async () => {
        did.push('fills panes');
        return this.filled();
      },
      fillLanes: async () => {
        did.push('fills lanes');
        return { rows: 7 };
      },
      dropEnded: async () => {
        did.push('drops');
        return [];
      },
      tellRedefinition: async ({ state, error }) => {
        [this.state, this.error] = [state, error];
      },
    };
  }
}

export const start = ({ client, stage }: RunningPipeline, number = 1) => client.workflow.start('redefine', { workflowId: redefineWorkflowId(stage.name, number), taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, number }] });

export async function untilPhase({ client, stage }: RunningPipeline, phase: string, number = 1): Promise<RedefineStatus> {
  for (const startedAt = performance.now(); ; await waited(20, new AbortController().signal)) {
    const status = await client.workflow.getHandle(redefineWorkflowId(stage.name, number)).query<RedefineStatus>('progress');
    if (status.phase.startsWith(phase)) return status;
    if (performance.now() - startedAt > 15_000) throw new Error(`not ${phase}: ${JSON.stringify(status)}`);
  }
}
