import type { Client } from '@temporalio/client';

/** Tells the server that a workflow's worker was killed, which it would see ten seconds later by the heartbeats that it misses. */
export async function missWorker({ workflow, activity }: Client, workflowId: string): Promise<void> {
  const { raw } = await workflow.getHandle(workflowId).describe();
  for (const { activityId } of raw.pendingActivities ?? []) await activity.fail({ workflowId, activityId: activityId! }, new Error('its worker was killed'));
}
