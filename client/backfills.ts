import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError, WorkflowNotFoundError, type Client, type WorkflowHandle } from '@temporalio/client';
import { whyItStands } from '../core/backfill-wait.ts';
import { backfillWorkflowId, laneWaitedFor, rangeText, type BackfillProgress, type BackfillRequest, type BackfillStatus } from '../core/backfill.ts';
import { BadInput } from '../core/bad-input.ts';
import type { Config } from '../core/config.ts';
import { taskQueue } from '../core/workflow-names.ts';
import { followed } from './follow.ts';
import { queryStatus } from './pipelines.ts';
import { startAttributes } from './search-attributes.ts';
import { withTemporal } from './temporal-connection.ts';
import { webUiUrl } from './web-ui.ts';

/** It failed; the message says why. What was done stays. */
export class BackfillFailed extends Error {
  override readonly name = 'BackfillFailed';
}

export type StartedBackfill = { readonly workflowId: string; readonly workflowUrl: string | null };

/** One of `list`: `progress` is as of now, also within a step. */
export type ListedBackfill = StartedBackfill & { readonly status: BackfillStatus };

/** Starts one, and does not wait for its end. Throws BadInput if one of the same range runs. */
export function startBackfill(config: Config, request: BackfillRequest): Promise<StartedBackfill> {
  return withTemporal(config, async (client) => {
    const workflowId = backfillWorkflowId(request);
    const { pipeline, fromMs, toMs, views, sinks } = request;
    try {
      await client.workflow.start('backfill', {
        workflowId,
        taskQueue,
        args: [request],
        typedSearchAttributes: startAttributes(pipeline, 'backfill', 'running'),
        staticSummary: `computes ${[...views, ...sinks].join(', ')} of ${rangeText(fromMs, toMs)} anew from the source`,
      });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) throw new BadInput(`A backfill of ${rangeText(fromMs, toMs)} of ${pipeline} is going on: ./sluice backfill list ${pipeline}`, { cause: error });
      throw error;
    }
    return { workflowId, workflowUrl: webUiUrl(config, workflowId) };
  });
}

/** Waits for its end, and tells how it goes on about once a second. Throws BackfillFailed. */
export function followBackfill(config: Config, workflowId: string, onProgress: (status: BackfillStatus) => void, signal?: AbortSignal): Promise<BackfillStatus> {
  return withTemporal(config, async (client) => {
    const handle = client.workflow.getHandle(workflowId);
    try {
      return await followed(handle, () => statusOf(client, handle), onProgress, signal);
    } catch (error) {
      if (error instanceof WorkflowFailedError) throw new BackfillFailed(error.cause?.message ?? error.message, { cause: error });
      throw error;
    }
  });
}

/** The newest ones of a pipeline, those that run first. */
export function listBackfills(config: Config, pipeline: string): Promise<readonly ListedBackfill[]> {
  return withTemporal(config, async (client) => {
    const found: ListedBackfill[] = [];
    for await (const { workflowId, runId } of client.workflow.list({ query: `WorkflowType = 'backfill' AND SluicePipeline = '${pipeline}'` })) {
      if (workflowId.endsWith('/plan')) continue;
      found.push({ workflowId, workflowUrl: webUiUrl(config, workflowId), status: await statusOf(client, client.workflow.getHandle(workflowId, runId)) });
      if (found.length === mostListed) break;
    }
    return found;
  });
}

/** `pause`, `resume` or `cancel`. Throws BadInput if there is none that runs. */
export function signalBackfill(config: Config, workflowId: string, signal: 'pause' | 'resume' | 'cancel'): Promise<void> {
  return withTemporal(config, async (client) => {
    try {
      await client.workflow.getHandle(workflowId).signal(signal);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) throw new BadInput(`No backfill ${workflowId} is going on.`, { cause: error });
      throw error;
    }
  });
}

/** What its workflow knows, what the step that runs has told since, and why the lane that it waits for does not come. */
export async function statusOf(client: Client, handle: WorkflowHandle): Promise<BackfillStatus> {
  const status = await ownStatusOf(handle);
  const lane = status.state === 'running' && status.progress !== null ? laneWaitedFor(status.progress.phase) : undefined;
  if (lane === undefined) return status;
  // a pipeline that does not answer: ./sluice status says that
  const why = await queryStatus(client, status.pipeline).then((pipeline) => whyItStands(pipeline, lane), () => undefined);
  return why === undefined ? status : { ...status, progress: { ...status.progress!, phase: `${status.progress!.phase}; ${why}` } };
}

async function ownStatusOf(handle: WorkflowHandle): Promise<BackfillStatus> {
  const [status, { raw, status: { name } }] = await Promise.all([handle.query<BackfillStatus>('progress'), handle.describe()]);
  // whoever ends it in Temporal, the workflow does not hear of it
  if (name !== 'RUNNING' && (status.state === 'running' || status.state === 'paused')) return { ...status, state: 'failed', error: `It was ended in Temporal (${name.toLowerCase().replace('_', ' ')}); what was done stays.` };
  const details = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'backfill')?.heartbeatDetails?.payloads?.[0]?.data;
  if (!details || status.state !== 'running') return status;
  const now = JSON.parse(Buffer.from(details).toString('utf8')) as BackfillProgress;
  return { ...status, progress: { ...now, fromMs: status.progress?.fromMs ?? now.fromMs, rows: (status.progress?.rows ?? 0) + now.rows } };
}

const mostListed = 20;
