import type { PlannedMigration } from '../../activities/migration.ts';
import type { Verdict } from '../../core/migration/plan.ts';
import { migrationWorkflowId } from '../../core/migration/schema-change.ts';
import type { MigrationStatus } from '../../workflows/migration.ts';
import { type RunningPipeline, Stage, waited } from './stage.ts';

/** A pipeline whose capture meets other columns when `change` says so; what its migration did, in order. */
export class Migrating {
  readonly stage = new Stage();
  readonly did: string[] = [];
  /** While which migrations steps of the capture kept what followed. */
  readonly kept: number[] = [];
  change: number | undefined;
  verdict: Verdict = 'approval';
  possible: PlannedMigration['possible'] = ['approve', 'reject'];
  planning = async (): Promise<void> => {};
  drained = Promise.resolve();
  changing = async (): Promise<void> => {};
  settling = async (): Promise<void> => {};
  trimming = async (): Promise<void> => {};
  readonly told = new Map<number, string>();

  constructor() {
    const { stage, did } = this;
    stage.stepMs = 400;
    stage.step = async (input, part) => {
      // a step of before its end is told of it
      if (part === 'capture' && input.undecided !== undefined) {
        this.kept.push(input.undecided);
        return { ...(await stage.plainStep(input, part)), change: input.undecided };
      }
      const change = this.change ?? (input.definitionHash === stage.definitionHash ? undefined : [...this.told.keys()].at(-1));
      if (part !== 'capture' || change === undefined) return stage.plainStep(input, part);
      await waited(20, new AbortController().signal);
      return { ended: 'changed', change, fence: '0'.repeat(32), segments: 0, events: 0 };
    };
    stage.beside = {
      planMigration: async ({ number }) => {
        await this.planning();
        return { state: this.told.get(number) === 'done' ? 'done' : 'planned', verdict: this.verdict, text: 'public.t: column a was renamed to b', possible: this.possible };
      },
      drainToChange: () => this.drained,
      changeSinks: async ({ decision }) => {
        did.push(`sinks ${decision}`);
        await this.changing();
      },
      settleMigration: async ({ number, decision }) => {
        did.push(`settled ${decision}`);
        await this.settling();
        this.told.set(number, 'done');
        stage.definitionHash = `after ${number}`;
        this.change = undefined;
      },
      trimSinks: async ({ decision }) => {
        did.push(`trimmed ${decision}`);
        await this.trimming();
      },
      tellMigration: async ({ number, told }) => void this.told.set(number, told.state),
    };
  }
}

export async function stateOf({ client, stage }: RunningPipeline, number: number, wanted: MigrationStatus['state']): Promise<MigrationStatus> {
  for (const startedAt = performance.now(); ; await waited(50, new AbortController().signal)) {
    const status = await client.workflow.getHandle(migrationWorkflowId(stage.name, number)).query<MigrationStatus>('status').catch(() => undefined);
    if (status?.state === wanted) return status;
    if (performance.now() - startedAt > 15_000) throw new Error(`not ${wanted}: ${JSON.stringify(status)}`);
  }
}

export const decide = ({ client, stage }: RunningPipeline, number: number, decision: 'approve' | 'reject') => client.workflow.getHandle(migrationWorkflowId(stage.name, number)).executeUpdate<MigrationStatus, []>(decision);
