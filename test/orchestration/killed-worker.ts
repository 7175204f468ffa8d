import type { Client } from '@temporalio/client';

/** Tells the server that the worker of these workflows was killed, which it would see ten seconds later by the heartbeats that it misses. */
export async function missWorker({ workflow, activity }: Client, ...workflowIds: readonly string[]): Promise<void> {
  for (const workflowId of workflowIds) {
    const { raw } = await workflow.getHandle(workflowId).describe();
    for (const { activityId, state } of raw.pendingActivities ?? []) if (Number(state) === started) await activity.fail({ workflowId, activityId: activityId! }, new Error('its worker was killed'));
  }
}

/** temporal.api.enums.v1.PendingActivityState; the others are with no worker. */
const started = 2;
