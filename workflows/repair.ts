import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure } from '@temporalio/common';
import { ParentClosePolicy, executeChild, isCancellation, proxyActivities, setCurrentDetails, sleep, type ActivityOptions } from '@temporalio/workflow';
import type { RepairActivities } from '../activities/repair.ts';
import { backfillWorkflowId, rangeText, type BackfillRequest } from '../core/backfill.ts';
import { bugFailure, configurationFailure } from '../core/failure-types.ts';
import { covers, joined, type RepairInput, type RepairReport, type Stale, type StaleRange } from '../core/repair.ts';
import type { backfill } from './backfill.ts';
import { childAttributes } from './search-attributes.ts';

const options = {
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: 500, maximumInterval: 15_000, nonRetryableErrorTypes: [configurationFailure, bugFailure] },
} satisfies ActivityOptions;
const activities = proxyActivities<RepairActivities>(options);

/** Windows that late changes have made stale, or that have lost a min or max, are computed anew by small, slow backfills (E14, E15). */
export async function repair({ pipeline, afterMs, restMs = hourMs, definitionHash, isAsked }: RepairInput): Promise<RepairReport> {
  const [repaired, failed]: [string[], string[]] = [[], []];
  let [rows, left] = [0, 0];
  const report = () => ({ repaired, failed, rows, left });
  const tell = (phase: string) => setCurrentDetails(page(pipeline, phase, report()));
  tell('late changes are being gathered');
  await sleep(afterMs);
  const { ranges: all, hasIndex } = await lookedUp({ pipeline, ...(isAsked ? { isAsked } : {}) });
  const ranges = (hasIndex ? all : joined(all)).slice(0, mostRanges);
  left = all.filter((range) => !ranges.some((each) => covers(each, range))).length;
  for (const range of ranges) {
    const text = `${range.views.join(', ')} ${rangeText(range.fromMs, range.toMs)}`;
    tell(`computing ${text}`);
    try {
      const status = await computeAnew(pipeline, range, definitionHash);
      rows += status.progress?.rows ?? 0;
      (status.state === 'done' ? repaired : failed).push(status.state === 'done' ? text : `${text}: it was ${status.state}`);
    } catch (error) {
      if (isCancellation(error)) throw error;
      failed.push(`${text}: ${reason(error)}`);
    }
  }
  if (!hasIndex && all.length > 0 && restMs > 0) {
    tell('the event time has no index, so each repair reads the whole table several times: the next one begins in an hour');
    await sleep(restMs);
  }
  tell('done');
  return report();
}

async function lookedUp(input: Pick<RepairInput, 'pipeline' | 'isAsked'>): Promise<Stale> {
  try {
    return await activities.staleWindows.executeWithOptions({ ...options, summary: 'which windows are stale' }, [input]);
  } catch (error) {
    // its sentence, and not that an activity failed
    throw error instanceof ActivityFailure && error.cause instanceof ApplicationFailure ? error.cause : error;
  }
}

function computeAnew(pipeline: string, { fromMs, toMs, views }: StaleRange, definitionHash: string | undefined): ReturnType<typeof backfill> {
  const request: BackfillRequest = { pipeline, fromMs, toMs, views, sinks: [], chunkRows, rowsPerSecond, yields: true, ...(definitionHash === undefined ? {} : { definitionHash }) };
  return executeChild<typeof backfill>('backfill', { workflowId: backfillWorkflowId(request), args: [request], parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL, typedSearchAttributes: childAttributes(pipeline, 'backfill'), staticSummary: `late changes of ${views.join(', ')}, ${rangeText(fromMs, toMs)}` });
}

function page(pipeline: string, phase: string, { repaired, failed, rows, left }: RepairReport): string {
  return [`# ${pipeline}: windows with late changes, or a min or max that was taken out`, '', phase, '', ...repaired.map((text) => `- ${text}`), ...failed.map((text) => `- **not done** ${text}`), '', `${rows} rows read.`, ...(left > 0 ? ['', 'Some ranges are left for the next repair.'] : [])].join('\n');
}

function reason(error: unknown): string {
  const cause = error instanceof ChildWorkflowFailure || error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

/** Of one repair; its history stays small. */
const mostRanges = 20;
/** A user who asks for a backfill may have all of the source; this one nobody asked for. */
const rowsPerSecond = 20_000;
const chunkRows = 20_000;
const hourMs = 3_600_000;
