import { ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy, WorkflowFailedError, type Client, type ScheduleOptions } from '@temporalio/client';
import type { Config } from '../core/config.ts';
import type { ExplainedWindow, ExplainRequest } from '../core/explained-window.ts';
import type { ReconcileRequest } from '../core/reconcile.ts';
import type { ReconcileReport } from '../core/reconcile-report.ts';
import { reconcileScheduleId, taskQueue } from '../core/workflow-names.ts';
import { pipelines } from '../pipelines/index.ts';
import { startAttributes } from './search-attributes.ts';
import { withTemporal } from './temporal-connection.ts';
import { webUiUrl } from './web-ui.ts';

/** It could not be compared; the message says why. */
export class ReconcileFailed extends Error {
  override readonly name = 'ReconcileFailed';
}

export type StartedReconcile = { readonly workflowId: string; readonly workflowUrl: string | null };

/** Starts one, and does not wait for its end. */
export function startReconcile(config: Config, request: ReconcileRequest): Promise<StartedReconcile> {
  return withTemporal(config, async (client) => {
    const workflowId = `reconcile/${request.pipeline}/${now()}`;
    await client.workflow.start('reconcile', { workflowId, ...started(request) });
    return { workflowId, workflowUrl: webUiUrl(config, workflowId) };
  });
}

/** Runs one to its end. Throws ReconcileFailed. */
export async function runReconcile(config: Config, request: ReconcileRequest, onStarted: (started: StartedReconcile) => void = () => {}): Promise<ReconcileReport> {
  const begun = await startReconcile(config, request);
  onStarted(begun);
  return withTemporal(config, (client) => resultOf<ReconcileReport>(client, begun.workflowId));
}

/** Tells what there is of one window, on each side. Throws ReconcileFailed. */
export function explainWindow(config: Config, request: ExplainRequest, onStarted: (started: StartedReconcile) => void = () => {}): Promise<ExplainedWindow> {
  return withTemporal(config, async (client) => {
    const { pipeline, view } = request;
    const workflowId = `verify/${pipeline}/${now()}`;
    await client.workflow.start('explain', { workflowId, taskQueue, args: [request], typedSearchAttributes: startAttributes(pipeline, 'verify', 'running'), staticSummary: `explains a window of ${view}`, workflowExecutionTimeout: longestMs });
    onStarted({ workflowId, workflowUrl: webUiUrl(config, workflowId) });
    return resultOf<ExplainedWindow>(client, workflowId);
  });
}

/** The schedule by which a pipeline is reconciled; whoever has paused it in Temporal keeps it so. */
export async function ensureSchedule(client: Client, pipeline: string): Promise<void> {
  const everyMs = pipelines[pipeline]!.settings.reconcileEveryMs;
  const scheduleId = reconcileScheduleId(pipeline);
  const handle = client.schedule.getHandle(scheduleId);
  if (everyMs === 0) {
    return handle.delete().catch((error: unknown) => {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    });
  }
  const schedule = {
    // not those of all pipelines at once
    spec: { intervals: [{ every: everyMs }], jitter: everyMs / 10 },
    // the server adds the time
    action: { type: 'startWorkflow', workflowType: 'reconcile', workflowId: `${scheduleId}/scheduled`, ...started({ pipeline, everyMs, repair: false, rowsPerSecond: slowly }) },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: everyMs },
  } satisfies Omit<ScheduleOptions, 'scheduleId'>;
  try {
    await client.schedule.create({ scheduleId, ...schedule });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await handle.update(({ state }) => ({ ...schedule, state }));
  }
}

function started(request: ReconcileRequest) {
  const { pipeline, repair } = request;
  return { taskQueue, args: [request], typedSearchAttributes: startAttributes(pipeline, 'reconcile', 'running'), staticSummary: `compares closed windows of ${pipeline} with its source${repair ? ', and repairs what differs' : ''}` };
}

async function resultOf<T>(client: Client, workflowId: string): Promise<T> {
  try {
    return (await client.workflow.getHandle(workflowId).result()) as T;
  } catch (error) {
    if (error instanceof WorkflowFailedError) throw new ReconcileFailed(error.cause?.message ?? error.message, { cause: error });
    throw error;
  }
}

function now(): string {
  return new Date().toISOString().replace('Z', '');
}

/** Rows of the source a second; whoever asks for one may have all of it, this one nobody asked for. */
const slowly = 20_000;
/** No worker, no answer. */
const longestMs = 30 * 60_000;
