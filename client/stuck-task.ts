import type { Client } from '@temporalio/client';

/** What Temporal says of a workflow's next task. */
export type PendingTask = {
  /** The attempt that runs or waits now; the first is 1. */
  readonly attempt: number;
  /** Milliseconds since it was put into the queue, while no worker has taken it. */
  readonly untakenMs: number | undefined;
  /** Why the newest attempt that is on record failed. */
  readonly failure: string | undefined;
};

/** Why a workflow does not answer, if it is because of its task; undefined: Temporal knows of nothing. */
export async function stuckTask(client: Client, workflowId: string, nowMs: number): Promise<string | undefined> {
  const { raw } = await client.workflow.getHandle(workflowId).describe();
  const task = raw.pendingWorkflowTask;
  if (!task) return undefined;
  const attempt = task.attempt ?? 1;
  const scheduledMs = Number(task.scheduledTime?.seconds ?? nowMs / 1000) * 1000;
  const untakenMs = Number(task.state) === scheduled ? nowMs - scheduledMs : undefined;
  return stuckSentence({ attempt, untakenMs, failure: attempt > 1 ? await lastFailure(client, workflowId) : undefined });
}

/** Exported for its test. */
export function stuckSentence({ attempt, untakenMs, failure }: PendingTask): string | undefined {
  const failed = attempt - 1;
  if (failed > 0) return `its workflow does not get on: its last task failed ${failed === 1 ? 'once' : `${failed} times`} (${failure ?? 'Temporal does not say why'}); see ./sluice logs worker`;
  if (untakenMs !== undefined && untakenMs >= untakenLimitMs) return `no worker has taken its workflow's task for ${Math.round(untakenMs / 1000)} s; see ./sluice logs worker`;
  return undefined;
}

/** Temporal records the first of several failures, and counts the others. */
async function lastFailure(client: Client, workflowId: string): Promise<string | undefined> {
  const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({ namespace: client.options.namespace, execution: { workflowId }, maximumPageSize: 20 });
  for (const { workflowTaskFailedEventAttributes: failed, workflowTaskTimedOutEventAttributes: timedOut } of history?.events ?? []) {
    if (failed) return failed.failure?.message ?? undefined;
    if (timedOut) return 'it was not done in time';
  }
  return undefined;
}

/** temporal.api.enums.v1.PendingWorkflowTaskState */
const scheduled = 1;
/** Beyond the time in which a task that a worker took with it when it died is handed out again. */
const untakenLimitMs = 3_000;
