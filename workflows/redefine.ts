import { ActivityFailure, ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { ActivityCancellationType, CancellationScope, defineQuery, isCancellation, patched, proxyActivities, setCurrentDetails, setHandler, sleep, upsertSearchAttributes, type ActivityOptions } from '@temporalio/workflow';
import type { RedefineActivities } from '../activities/redefine.ts';
import type { Filled } from '../activities/redefine-fill.ts';
import { bugFailure, configurationFailure } from '../core/failure-types.ts';
import { redefineLines, type RedefineInput, type RedefinePlan, type RedefineStatus } from '../core/redefine.ts';
import { stateAttribute } from './search-attributes.ts';

export const progress = defineQuery<RedefineStatus>('progress');

const options = {
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: 500, maximumInterval: 5_000, nonRetryableErrorTypes: [configurationFailure, bugFailure] },
} satisfies ActivityOptions;
const { heartbeatTimeout: _, ...short } = options;
/** A table takes as long as it takes; a worker that died is seen by its heartbeats. */
const long = { ...options, startToCloseTimeout: '30 days' } satisfies ActivityOptions;
const activities = proxyActivities<RedefineActivities>(short);

/** A snapshot lives as long as a step, and as the chunk that is being read at its end. */
const stepMs = 5 * 60_000;
const shortestRestMs = 30_000;
const longestRestMs = 600_000;

/**
 * Makes another pipeline of one that runs. Until the pipeline's workflow takes over nothing has changed, and a cancellation leaves it so. From then on
 * the pipeline is the other one: what stops it on its way leaves what was added incomplete, and the next apply goes on with that.
 */
export async function redefine(input: RedefineInput): Promise<RedefineStatus> {
  const run = new Run(input);
  setHandler(progress, () => run.status());
  try {
    await run.go();
    run.state = 'done';
  } catch (error) {
    await CancellationScope.nonCancellable(() => run.stopped(error));
    throw isCancellation(error) ? error : ApplicationFailure.nonRetryable(run.error!, configurationFailure);
  } finally {
    run.publish();
  }
  return run.status();
}

class Run {
  readonly #input: RedefineInput;
  state: RedefineStatus['state'] = 'planned';
  error: string | null = null;
  #plan: RedefinePlan | null = null;
  #phase = 'looks what there is to do';
  #rows = 0;
  #published: RedefineStatus['state'] = 'planned';

  constructor(input: RedefineInput) {
    this.#input = input;
  }

  async go(): Promise<void> {
    const input = this.#input;
    this.publish();
    const { plan, state } = await activities.readPlan.executeWithOptions({ ...short, summary: 'what there is to do' }, [input]);
    this.#plan = plan;
    this.state = state;
    if (state === 'done') return;
    if (state === 'cancelled') throw ApplicationFailure.nonRetryable('it was cancelled before', configurationFailure);
    if (state === 'planned') {
      await this.#do('makes what new destinations need', (summary) => activities.prepareRedefinition.executeWithOptions({ ...short, summary }, [input]));
      // an activity that was not cut short leaves it to this
      if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('cancelled before anything was changed');
      // once begun, it may be done whoever cancels
      await this.#do('the pipeline takes over', (summary) => CancellationScope.nonCancellable(() => activities.askToTakeOver.executeWithOptions({ ...options, summary }, [{ ...input, what: 'become' }])));
      this.state = 'filling';
    }
    if (plan.again.length > 0) await this.#do(`says the windows of ${plan.again.join(', ')}`, (summary) => activities.sayKept.executeWithOptions({ ...long, summary }, [input]));
    if (plan.fills.length > 0) await this.#fillPanes(plan.fills);
    if (plan.loads.length > 0) {
      const { rows } = await this.#do(`loads ${plan.loads.join(', ')}`, (summary) => activities.fillLanes.executeWithOptions({ ...long, summary }, [input]));
      this.#rows += rows;
    }
    if (plan.loads.length + plan.lives.length > 0) await this.#do(`${[...plan.loads, ...plan.lives].join(', ')} join`, (summary) => activities.askToTakeOver.executeWithOptions({ ...options, summary }, [{ ...input, what: 'join' }]));
    if (Object.keys(plan.drops).length > 0) await this.#do(`drops what ${Object.keys(plan.drops).join(', ')} had`, (summary) => activities.dropEnded.executeWithOptions({ ...long, summary }, [input]));
    await activities.tellRedefinition.executeWithOptions({ ...short, summary: 'it is complete' }, [{ ...input, state: 'done', error: null }]);
  }

  async #fillPanes(views: readonly string[]): Promise<void> {
    let restMs = shortestRestMs;
    for (let step = 1, ended: Filled['ended'] = 'time'; ended !== 'done'; step++) {
      const filled = await this.#do(`fills ${views.join(', ')}`, (summary) => activities.fillPanes.executeWithOptions({ ...long, activityId: `fill ${step}`, summary }, [{ ...this.#input, durationMs: stepMs }]));
      this.#rows += filled.rows;
      ended = filled.ended;
      // a lane does not follow: each step would read the dimensions again, and make the history longer
      const isStuck = ended === 'time' && filled.isFurther === false && patched('panes that came nowhere wait');
      if (isStuck) await sleep(restMs);
      restMs = isStuck ? Math.min(longestRestMs, restMs * 2) : shortestRestMs;
    }
  }

  async #do<T>(phase: string, work: (summary: string) => Promise<T>): Promise<T> {
    this.#phase = phase;
    this.publish();
    return work(phase);
  }

  /** What was begun stays as it is. */
  async stopped(error: unknown): Promise<void> {
    const cause = error instanceof ActivityFailure ? error.cause : error;
    const why = isCancellation(error) ? 'it was cancelled' : cause instanceof Error ? cause.message : String(cause);
    const next = this.state === 'filling' ? ` What was added is not complete: ./sluice apply ${this.#input.pipeline} goes on with it.` : ' Nothing was changed.';
    this.error = `${why.replace(/\.$/, '')}.${next}`;
    const told = this.state === 'filling' ? 'filling' : 'cancelled';
    this.state = isCancellation(error) && told === 'cancelled' ? 'cancelled' : 'failed';
    await activities.tellRedefinition.executeWithOptions({ ...short, summary: 'why it stopped' }, [{ ...this.#input, state: told, error: this.error }]);
  }

  status(): RedefineStatus {
    return { ...this.#input, state: this.state, plan: this.#plan, phase: this.#phase, rows: this.#rows, error: this.error };
  }

  publish(): void {
    const { pipeline, number } = this.#input;
    const lines = [...(this.#plan ? redefineLines(this.#plan) : []), ...(this.#rows > 0 ? [`${this.#rows} rows read`] : []), ...(this.error === null ? [] : [this.error])];
    setCurrentDetails(`# ${pipeline}: redefinition ${number}, ${this.state}\n${this.state === 'planned' || this.state === 'filling' ? `${this.#phase}\n` : ''}\`\`\`\n${lines.join('\n')}\n\`\`\``);
    if (this.state === this.#published) return;
    this.#published = this.state;
    upsertSearchAttributes([{ key: stateAttribute, value: this.state }]);
  }
}
