import { ActivityFailure, ApplicationFailure, CancelledFailure, ChildWorkflowFailure } from '@temporalio/common';
import { ActivityCancellationType, CancellationScope, ParentClosePolicy, executeChild, proxyActivities, setCurrentDetails, upsertSearchAttributes, workflowInfo, type ActivityOptions } from '@temporalio/workflow';
import type { Reconciled } from '../activities/reconcile-loop.ts';
import type { ReconcileActivities, ReconcilePlan } from '../activities/reconcile.ts';
import { backfillWorkflowId, rangeText, type BackfillRequest } from '../core/backfill.ts';
import { bugFailure, configurationFailure } from '../core/failure-types.ts';
import { joinedRanges, nextDue, repairsOf, type Compared, type Due, type ReconcileRequest } from '../core/reconcile.ts';
import { reconcileState, reconcileText, repairOutcome, type ReconcileReport } from '../core/reconcile-report.ts';
import type { backfill } from './backfill.ts';
import { childAttributes, stateAttribute } from './search-attributes.ts';

/** A worker that has to go ends it with its step, and another one goes on. */
const stepMs = 5 * 60_000;

const options = {
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  // a source or a state database that is away for longer makes it fail, and the next one tells
  retry: { initialInterval: 500, maximumInterval: 15_000, maximumAttempts: 20, nonRetryableErrorTypes: [configurationFailure, bugFailure] },
} satisfies ActivityOptions;
const activities = proxyActivities<ReconcileActivities>(options);

/** Compares closed windows of every sink with the source while both go on, and repairs what differs if it is asked to. */
export async function reconcile(request: ReconcileRequest): Promise<ReconcileReport> {
  const run = new Run(request);
  try {
    run.tell('finding out what has closed');
    run.plan = await activities.planReconcile.executeWithOptions({ ...options, summary: 'what is to be compared' }, [{ request, ...(run.last && { last: run.last }) }]);
    run.progress = { ...run.progress, left: run.plan.ranges, isNowDone: !run.plan.withNow };
    // each begins by itself: none comes near to the next
    const untilMs = request.range ? Number.POSITIVE_INFINITY : Date.now() + request.everyMs / 2;
    await run.steps('compares', run.progress, untilMs, (progress) => (run.progress = progress));
    if (request.repair) await run.repair();
  } catch (error) {
    run.failed(error);
  }
  return CancellationScope.nonCancellable(() => run.end());
}

class Run {
  readonly #request: ReconcileRequest;
  plan: ReconcilePlan = { ranges: [], due: null, withNow: false };
  progress: Reconciled = { left: [], compared: [], rows: 0, isNowDone: true, problem: null };
  #repaired: readonly string[] = [];
  #failed: readonly string[] = [];
  #error: string | undefined;
  #steps = 0;
  /** Where the one before, of those that begin by themselves, has come to. */
  readonly last: Due | undefined;

  constructor(request: ReconcileRequest) {
    this.#request = request;
    this.last = request.range ? undefined : (workflowInfo().lastResult as ReconcileReport | undefined)?.next;
  }

  /** What is left when the time is over stays so. */
  async steps(summary: string, from: Reconciled, untilMs: number, onStep: (progress: Reconciled) => void = () => {}): Promise<Reconciled> {
    const { pipeline, rowsPerSecond } = this.#request;
    let progress = from;
    for (; (progress.left.length > 0 || !progress.isNowDone) && progress.problem === null && Date.now() < untilMs; ) {
      const [next] = progress.left;
      const doing = `${summary} ${next ? rangeText(next.fromMs, next.toMs) : 'what shows the present'}`;
      this.tell(doing);
      const durationMs = Math.max(1, Math.min(stepMs, untilMs - Date.now()));
      progress = await activities.reconcile.executeWithOptions({ ...options, activityId: `step ${++this.#steps}`, summary: doing }, [{ pipeline, from: progress, rowsPerSecond, durationMs }]);
      onStep(progress);
    }
    return progress;
  }

  async repair(): Promise<void> {
    const { pipeline } = this.#request;
    const before = this.progress.compared.filter(({ different }) => different > 0);
    if (before.length === 0) return;
    const { backfills, say, live } = repairsOf(before);
    const failed: string[] = [];
    for (const { fromMs, toMs, views, sinks } of backfills) {
      const request: BackfillRequest = { pipeline, fromMs, toMs, views, sinks, chunkRows, rowsPerSecond: this.#request.rowsPerSecond };
      const what = `${[...views, ...sinks].join(', ')} of ${rangeText(fromMs, toMs)}`;
      this.tell(`computing ${what} anew`);
      try {
        const { state } = await executeChild<typeof backfill>('backfill', { workflowId: backfillWorkflowId(request), args: [request], parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL, typedSearchAttributes: childAttributes(pipeline, 'backfill'), staticSummary: `what a reconcile found: ${what}` });
        if (state !== 'done') failed.push(`${what}: the backfill was ${state}`);
      } catch (error) {
        if (isCancelled(error)) throw error;
        failed.push(`${what}: ${sentenceOf(error)}`);
      }
    }
    this.tell('saying and making anew what no backfill does');
    const differing = joinedRanges(before.flatMap((each) => each.differing));
    const mended = await activities.mendWindows.executeWithOptions({ ...options, summary: 'says windows again, makes live structures anew' }, [{ pipeline, repairs: { say, live }, differing }]);
    const again = await this.steps('compares again', { left: mended.again, compared: [], rows: 0, isNowDone: !this.plan.withNow, problem: null }, Number.POSITIVE_INFINITY);
    const outcome = repairOutcome(before, again.problem === null ? again.compared : undefined);
    this.progress = { ...this.progress, rows: this.progress.rows + again.rows };
    this.#repaired = outcome.repaired;
    // why, beside what
    this.#failed = outcome.failed.length > 0 ? [...outcome.failed, ...failed, ...mended.failed, ...(again.problem === null ? [] : [again.problem])] : [];
  }

  failed(error: unknown): void {
    this.#error = isCancelled(error) ? 'It was cancelled before its end.' : sentenceOf(error);
  }

  /** Fails only if nothing could be compared at all: what was found is told in any case. */
  async end(): Promise<ReconcileReport> {
    const { pipeline, repair } = this.#request;
    const { left, compared, rows } = this.progress;
    const problem = this.#error ?? this.progress.problem;
    const found = { compared, repaired: this.#repaired, failed: this.#failed, problem };
    const next = this.plan.due ? nextDue(this.plan.due, left) : this.last;
    const isRefused = this.#error !== undefined && this.plan.ranges.length === 0;
    const report: ReconcileReport = { ...found, pipeline, repair, state: reconcileState(found), ranges: this.plan.ranges, left, rows, ended: new Date(Date.now()).toISOString(), ...(next && { next }) };
    setCurrentDetails(`# ${pipeline}: reconciled, ${report.state}\n\`\`\`\n${reconcileText(report).replaceAll('```', "'''")}\n\`\`\``);
    upsertSearchAttributes([{ key: stateAttribute, value: report.state }]);
    // one that was refused says nothing of the pipeline
    if (isRefused && this.#request.range) throw ApplicationFailure.nonRetryable(this.#error, configurationFailure);
    await activities.endReconcile.executeWithOptions({ ...options, summary: 'tells what was found' }, [{ report }]);
    return report;
  }

  tell(phase: string): void {
    const { pipeline } = this.#request;
    const { compared, rows } = this.progress;
    setCurrentDetails([`# ${pipeline}: reconcile`, '', phase, '', ...compared.map((each) => `- ${lineOf(each)}`), '', `${rows} rows read. Nothing is held: the stream goes on.`].join('\n'));
  }
}

function lineOf({ sink, what, windows, different, problem }: Compared): string {
  return `${sink}, ${what}: ${windows} windows, ${different === 0 ? 'none differs' : `**${different} differ**`}${problem === undefined ? '' : `; ${problem}`}`;
}

function isCancelled(error: unknown): boolean {
  return error instanceof CancelledFailure || ((error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) && error.cause instanceof CancelledFailure);
}

function sentenceOf(error: unknown): string {
  const cause = error instanceof ActivityFailure || error instanceof ChildWorkflowFailure ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

const chunkRows = 50_000;
