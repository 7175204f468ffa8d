import { ActivityFailure } from '@temporalio/common';
import { ActivityCancellationType, CancellationScope, condition, defineQuery, defineUpdate, isCancellation, proxyActivities, setCurrentDetails, setHandler, upsertSearchAttributes, type ActivityOptions } from '@temporalio/workflow';
import type { RecoveryActivities } from '../activities/recovery.ts';
import { bugFailure, configurationFailure } from '../core/failure-types.ts';
import { recoveryText, type RecoveryInput, type RecoveryPlan, type RecoveryState, type RecoveryStatus } from '../core/recovery.ts';
import { stateAttribute } from './search-attributes.ts';

export const approveRecovery = defineUpdate<void>('approve');
export const recoveryStatus = defineQuery<RecoveryStatus>('status');

const options = {
  startToCloseTimeout: '1 minute',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: 500, maximumInterval: 5_000, nonRetryableErrorTypes: [configurationFailure, bugFailure] },
} satisfies ActivityOptions;
const activities = proxyActivities<RecoveryActivities>(options);

/** States what the stream or a destination lacks, asks, and has it read again. Cancelled before that, it has changed nothing. */
export async function recovery({ pipeline, approved, lane: asked }: RecoveryInput): Promise<RecoveryStatus> {
  const run = new Run(pipeline);
  let isApproved = approved;
  setHandler(recoveryStatus, () => run.status());
  setHandler(approveRecovery, () => void (isApproved = true));
  try {
    run.plan = await activities.planRecovery.executeWithOptions({ ...options, summary: 'what is missing' }, [{ pipeline, ...(asked !== undefined && { lane: asked }) }]);
    run.become(isApproved ? 'loading' : 'waiting');
    await condition(() => isApproved);
    run.become('loading');
    for (const lane of run.plan.lanes ?? []) {
      const written = await activities.rewriteLane.executeWithOptions({ ...options, startToCloseTimeout: '30 days', heartbeatTimeout: '10 seconds', summary: `writes the rows of ${lane} again` }, [{ pipeline, lane, epoch: run.plan.epoch!, ifLacking: asked === undefined }]);
      run.read(written.rows);
    }
    if (!run.plan.lanes) await loadAnew(pipeline, run.plan);
    run.become('done');
  } catch (error) {
    if (!isCancellation(error)) run.fail(error);
    else await CancellationScope.nonCancellable(async () => run.become('cancelled'));
  }
  return run.status();
}

async function loadAnew(pipeline: string, plan: RecoveryPlan): Promise<void> {
  const above = await activities.beginAnew.executeWithOptions({ ...options, summary: 'the pipeline begins anew' }, [{ pipeline, epoch: plan.epoch }]);
  // whoever cancels from here on stops looking: the load is the pipeline's own
  await activities.untilLoaded.executeWithOptions({ ...options, startToCloseTimeout: '30 days', heartbeatTimeout: '10 seconds', summary: 'until it is loaded' }, [{ pipeline, above }]);
}

class Run {
  readonly #pipeline: string;
  #state: RecoveryState = 'planning';
  plan: RecoveryPlan | null = null;
  #error: string | null = null;
  #rows = 0;

  constructor(pipeline: string) {
    this.#pipeline = pipeline;
    this.#publish();
  }

  become(state: RecoveryState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#publish();
    upsertSearchAttributes([{ key: stateAttribute, value: state }]);
  }

  /** Of the source. */
  read(rows: number): void {
    this.#rows += rows;
  }

  fail(error: unknown): void {
    const cause = error instanceof ActivityFailure ? error.cause : error;
    this.#error = cause instanceof Error ? cause.message : String(cause);
    this.become('failed');
  }

  status(): RecoveryStatus {
    return { pipeline: this.#pipeline, state: this.#state, plan: this.plan, rows: this.#rows, error: this.#error };
  }

  #publish(): void {
    const lines = [...(this.plan ? [recoveryText(this.plan)] : []), ...(this.#error === null ? [] : [this.#error])];
    setCurrentDetails(`# ${this.#pipeline}: recovery, ${this.#state}\n\`\`\`\n${lines.join('\n')}\n\`\`\`${this.#state === 'waiting' ? '\n## What to do next\nUpdate `approve`, or cancel this workflow: then nothing was done.' : ''}`);
  }
}
