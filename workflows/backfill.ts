import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { ActivityCancellationType, CancellationScope, condition, defineQuery, defineSignal, defineUpdate, isCancellation, patched, proxyActivities, setCurrentDetails, setHandler, upsertSearchAttributes, type ActivityOptions } from '@temporalio/workflow';
import type { BackfillActivities, BackfillStepResult } from '../activities/backfill.ts';
import { planText, progressText, rangeText, type BackfillPlan, type BackfillProgress, type BackfillRequest, type BackfillState, type BackfillStatus } from '../core/backfill.ts';
import { bugFailure, configurationFailure } from '../core/failure-types.ts';
import { pause, resume } from './messages.ts';
import { refusal } from './refusal.ts';
import { stateAttribute } from './search-attributes.ts';

/** What is done stays; what is not stays as it was. */
export const cancel = defineSignal('cancel');
/** Input: rows a second, or null for as fast as it goes. */
export const setSpeed = defineUpdate<void, [number | null]>('setSpeed');
export const progress = defineQuery<BackfillStatus>('progress');

/** A snapshot lives as long as a step, and as the chunk that is being read at its end. */
const stepMs = 5 * 60_000;

const options = {
  // a chunk of a large table without an index may take hours; a worker that died is seen by its heartbeats
  startToCloseTimeout: '1 day',
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: 500, maximumInterval: 5_000, nonRetryableErrorTypes: [configurationFailure, bugFailure] },
} satisfies ActivityOptions;
const activities = proxyActivities<BackfillActivities>(options);
const shortestRestMs = 30_000;
const longestRestMs = 600_000;

/** Computes windows anew from the source while the stream goes on (E17-E19). Rows never enter its history. */
export async function backfill(request: BackfillRequest): Promise<BackfillStatus> {
  const run = new Run(request);
  setHandler(pause, () => run.ask('paused'), { description: 'ends the step at once: what is done stays, and the chunk that is being read is read again' });
  setHandler(resume, () => run.ask('running'));
  setHandler(cancel, () => run.ask('cancelled'));
  setHandler(setSpeed, (rowsPerSecond) => run.setSpeed(rowsPerSecond), { validator: assertSpeed });
  setHandler(progress, () => run.status());
  CancellationScope.current().cancelRequested.catch(() => run.ask('cancelled'));
  try {
    run.plan = await activities.planBackfill.executeWithOptions({ ...options, summary: 'what is to be read' }, [request]);
    run.publish();
    if (request.dryRun) return run.status();
    for (let restMs = shortestRestMs; run.state === 'running' || run.state === 'paused'; ) {
      if (run.state === 'running') {
        if (await run.step()) restMs = shortestRestMs;
        else if (patched('a step that came nowhere waits')) {
          await condition(() => run.state !== 'running', restMs);
          restMs = Math.min(longestRestMs, restMs * 2);
        }
      }
      else await condition(() => run.state !== 'paused');
    }
  } catch (error) {
    if (!isCancellation(error)) run.failed(error);
  }
  try {
    // a mark that stays would have every change in its panes kept for nobody
    await CancellationScope.nonCancellable(() => activities.endBackfill.executeWithOptions({ ...options, summary: 'lets go of the panes, and makes live structures anew' }, [{ request: run.request }]));
  } catch (error) {
    run.failed(error);
  }
  run.publish();
  if (run.state === 'failed') throw ApplicationFailure.nonRetryable(run.error!, configurationFailure);
  return run.status();
}

class Run {
  request: BackfillRequest;
  state: BackfillState = 'running';
  plan: BackfillPlan | null = null;
  error: string | null = null;
  #progress: BackfillProgress | null = null;
  #scope: CancellationScope | undefined;
  readonly #startedMs = Date.now();
  #steps = 0;
  #published: BackfillState = 'running';

  constructor(request: BackfillRequest) {
    this.request = request;
  }

  ask(state: BackfillState): void {
    if (this.state !== 'running' && this.state !== 'paused') return;
    this.state = state;
    if (state !== 'running') this.#scope?.cancel();
    this.publish();
  }

  setSpeed(rowsPerSecond: number | null): void {
    this.request = { ...this.request, rowsPerSecond };
    this.#scope?.cancel(); // the next step reads so fast
  }

  /** False: it came nowhere, as a lane does not follow. */
  async step(): Promise<boolean> {
    const doneToMs = this.#progress?.doneToMs ?? this.request.fromMs;
    let ended: BackfillStepResult['ended'] | undefined;
    this.#scope = new CancellationScope();
    try {
      const summary = `${[...this.request.views, ...this.request.sinks].join(', ')} ${rangeText(this.#progress?.doneToMs ?? this.request.fromMs, this.request.toMs)}`;
      const { progress: now, ...result } = await this.#scope.run(() => activities.backfill.executeWithOptions({ ...options, activityId: `step ${++this.#steps}`, summary }, [{ request: this.request, durationMs: stepMs }]));
      this.#progress = { ...now, fromMs: this.#progress?.fromMs ?? now.fromMs, rows: (this.#progress?.rows ?? 0) + now.rows };
      ended = result.ended;
      if (ended === 'done') this.state = 'done';
    } catch (error) {
      // one that waited for its next attempt is cancelled without a result, and one that failed as it was asked to end gets no other attempt
      const isCutShort = this.#scope.consideredCancelled && refusal(error) === undefined;
      if (!isCancellation(error) && !(isCutShort && patched('a step that fails as it is asked to end is only cut short'))) throw error;
    } finally {
      this.#scope = undefined;
    }
    this.publish();
    return ended !== 'time' || this.#progress?.doneToMs !== doneToMs;
  }

  failed(error: unknown): void {
    this.state = 'failed';
    if (this.error !== null) return; // what came first is the reason of the rest
    const cause = error instanceof ActivityFailure ? error.cause : error;
    this.error = cause instanceof Error ? cause.message : String(cause);
  }

  status(): BackfillStatus {
    const { request, state, plan, error } = this;
    return { ...request, state, plan, progress: this.#progress, started: new Date(this.#startedMs).toISOString(), error };
  }

  publish(): void {
    const { pipeline, fromMs, toMs } = this.request;
    const lines = [
      ...(this.plan ? [planText(this.plan)] : []),
      ...(this.#progress ? [progressText(this.#progress, this.state, Date.now() - this.#startedMs)] : []),
      ...(this.error === null ? [] : [this.error]),
    ];
    setCurrentDetails(`# ${pipeline}: backfill of ${rangeText(fromMs, toMs)}, ${this.state}\n\`\`\`\n${lines.join('\n')}\n\`\`\`\nWhat is done stays, whatever becomes of the rest. Signals: \`pause\`, \`resume\`, \`cancel\`; update \`setSpeed\` (rows a second).`);
    if (this.state === this.#published) return;
    this.#published = this.state;
    upsertSearchAttributes([{ key: stateAttribute, value: this.state }]);
  }
}

function assertSpeed(rowsPerSecond: number | null): void {
  if (rowsPerSecond === null || (Number.isFinite(rowsPerSecond) && rowsPerSecond > 0)) return;
  throw ApplicationFailure.nonRetryable(`${String(rowsPerSecond)} is no speed: rows a second, above 0, or null for as fast as it goes.`, configurationFailure);
}
