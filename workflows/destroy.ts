import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { ActivityCancellationType, defineQuery, isCancellation, proxyActivities, setCurrentDetails, setHandler, upsertSearchAttributes, workflowInfo, type ActivityOptions } from '@temporalio/workflow';
import type { DestroyActivities, Dropped } from '../activities/destroy.ts';
import { destroyWorkflowId, destroyedText, hasNothing, planText, type DestroyPlan, type DestroyRequest, type DestroyStatus, type Item, type Left } from '../core/destroy.ts';
import { bugFailure, configurationFailure } from '../core/failure-types.ts';
import { reconcileScheduleId } from '../core/workflow-names.ts';
import { stateAttribute } from './search-attributes.ts';

export const progress = defineQuery<DestroyStatus>('progress');

/** Bounded: what cannot be reached for half a minute is left, and named. */
const options = {
  startToCloseTimeout: '15 minutes',
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: 500, maximumInterval: 10_000, maximumAttempts: 8, nonRetryableErrorTypes: [configurationFailure, bugFailure] },
} satisfies ActivityOptions;
/** It ends nothing but Temporal's own, which is there whenever this runs; a state database that is away, which says whether it may, is waited for. */
const ending = { ...options, startToCloseTimeout: '1 day', retry: { initialInterval: 500, maximumInterval: 10_000 } } satisfies ActivityOptions;
const looking = { startToCloseTimeout: '2 minutes', retry: options.retry } satisfies ActivityOptions;
const activities = proxyActivities<DestroyActivities>(options);

/** For the steps of a pipeline to come to their end; an apply is never cut short, and may take long. */
const patienceMs = 120_000;

/** Ends a pipeline, and drops all that it has made. Whatever it was stopped by, the next one goes on. */
export async function destroy(request: DestroyRequest): Promise<DestroyStatus> {
  const run = new Run(request);
  setHandler(progress, () => run.status());
  try {
    await run.go();
  } catch (error) {
    run.state = isCancellation(error) ? 'cancelled' : 'failed';
    if (run.state === 'cancelled') throw error;
    run.error = reasonOf(error);
    throw ApplicationFailure.nonRetryable(run.error, configurationFailure);
  } finally {
    run.publish();
  }
  return run.status();
}

class Run {
  readonly #request: DestroyRequest;
  state: DestroyStatus['state'] = 'running';
  error: string | null = null;
  #plan: DestroyPlan | null = null;
  #phase = 'looks what there is';
  #dropped: string[] = [];
  #left: Left[] = [];
  /** Its rows are gone: what begins next begins from nothing. */
  #isForgotten = false;

  constructor(request: DestroyRequest) {
    this.#request = request;
  }

  async go(): Promise<void> {
    const { pipeline, dryRun = false } = this.#request;
    const { workflowId, parent } = workflowInfo();
    const spared = [workflowId, destroyWorkflowId({ pipeline, dryRun: true }), ...(parent ? [parent.workflowId, reconcileScheduleId(pipeline)] : [])];
    this.publish();
    this.#plan = await activities.planDestroy.executeWithOptions({ ...looking, summary: 'what there is to drop' }, [{ ...this.#request, spared }]);
    if (!dryRun && !hasNothing(this.#plan)) {
      const { destroyedAt } = this.#plan;
      await activities.beginDestroy.executeWithOptions({ ...looking, summary: 'nothing of it begins any more' }, [{ ...this.#destruction(), destroyedAt }]);
      await this.#end('ends its workflows', spared);
      for (const item of this.#plan.items) if (item.stays === undefined) await this.#drop(item);
      await this.#end('ends what was started meanwhile', spared);
      if (this.#isForgotten) await activities.finishDestroy.executeWithOptions({ ...looking, summary: 'it may begin again' }, [this.#destruction()]);
    }
    this.state = this.#left.length > 0 ? 'partly' : 'done';
  }

  async #end(phase: string, spared: readonly string[]): Promise<void> {
    this.#tell(phase);
    const ended = await activities.endWorkflows.executeWithOptions({ ...ending, summary: phase }, [{ ...this.#destruction(), spared, patienceMs }]);
    this.#dropped = [...this.#dropped, ...ended.map((id) => `workflow ${id}, which was ended`)];
  }

  /** What cannot be dropped holds up nothing else. */
  async #drop(item: Item): Promise<void> {
    this.#tell(`drops ${item.what}`);
    try {
      const { wasThere, stays } = await this.#dropping(item);
      if (item.drop.kind === 'state') this.#isForgotten = true;
      // an attempt that was cut short may have dropped it
      if (stays !== undefined) this.#left = [...this.#left, { what: item.what, why: stays, byHand: item.byHand }];
      else if (wasThere || item.isThere) this.#dropped = [...this.#dropped, item.what];
    } catch (error) {
      if (isCancellation(error)) throw error;
      this.#left = [...this.#left, { what: item.what, why: reasonOf(error), byHand: item.byHand }];
    }
  }

  #dropping({ drop, what }: Item): Promise<Dropped> {
    const destruction = this.#destruction();
    const dropOptions = { ...options, activityId: `drop ${drop.kind === 'destination' ? drop.lane : drop.kind}`, summary: what };
    switch (drop.kind) {
      case 'slot':
        return activities.dropSlots.executeWithOptions(dropOptions, [destruction]);
      case 'publication':
        return activities.dropPublication.executeWithOptions(dropOptions, [destruction]);
      case 'destination':
        return activities.dropDestination.executeWithOptions(dropOptions, [{ ...destruction, lane: drop.lane, place: drop.place }]);
      case 'state':
        return activities.dropState.executeWithOptions(dropOptions, [{ ...destruction, paneTables: drop.paneTables }]);
      case 'spool':
        return activities.dropSpool.executeWithOptions(dropOptions, [destruction]);
    }
  }

  /** By which a step that stood still knows whether it goes on. */
  #destruction(): Pick<DestroyRequest, 'pipeline'> & Pick<DestroyPlan, 'epoch'> {
    const epoch = this.#plan?.epoch;
    return { pipeline: this.#request.pipeline, ...(epoch === undefined ? {} : { epoch }) };
  }

  #tell(phase: string): void {
    this.#phase = phase;
    this.publish();
  }

  status(): DestroyStatus {
    return { ...this.#request, state: this.state, plan: this.#plan, phase: this.#phase, dropped: this.#dropped, left: this.#left, error: this.error };
  }

  publish(): void {
    const { pipeline, dryRun } = this.#request;
    const text = this.state === 'running' || dryRun ? (this.#plan ? planText(pipeline, this.#plan) : '') : destroyedText(this.status());
    setCurrentDetails(`# ${pipeline}: destroy, ${this.state}\n${this.state === 'running' ? `${this.#phase}\n` : ''}\`\`\`\n${text}\n\`\`\``);
    if (this.state !== 'running') upsertSearchAttributes([{ key: stateAttribute, value: this.state }]);
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
