import type { WorkerOptions } from '@temporalio/worker';

/** How many parts of pipelines, captures included, can run in one worker. */
const activitySlots = 200;

/** How long the steps of a worker that is asked to end may take to do so. */
export const drainMs = 2_500;

/** E23, in milliseconds. */
export function workerOptions(options: { readonly heartbeatMs: number; readonly mostParts: number }): Pick<
  WorkerOptions,
  | 'maxHeartbeatThrottleInterval'
  | 'defaultHeartbeatThrottleInterval'
  | 'stickyQueueScheduleToStartTimeout'
  | 'shutdownGraceTime'
  | 'shutdownForceTime'
  | 'maxEagerActivityReservationsPerWorkflowTask'
  | 'maxConcurrentActivityTaskExecutions'
  | 'activityTaskPollerBehavior'
  | 'workflowTaskPollerBehavior'
> {
  const throttleMs = Math.min(1_000, options.heartbeatMs);
  return {
    // how soon a running step learns that it is cancelled: pause. Steps with rare heartbeats beat by timers of their own, and
    // what runs seldom and briefly, as verify does, beats as ever (E26)
    maxHeartbeatThrottleInterval: throttleMs,
    defaultHeartbeatThrottleInterval: throttleMs,
    // after a worker was killed its workflows wait this long for it
    stickyQueueScheduleToStartTimeout: 2_000,
    // grace is the time *before* activities are told
    shutdownGraceTime: 0,
    shutdownForceTime: drainMs,
    maxEagerActivityReservationsPerWorkflowTask: options.mostParts + 1,
    maxConcurrentActivityTaskExecutions: activitySlots,
    // each poll of a worker that stands still (stopped, or behind a dead network) takes a step with it until its heartbeat
    // is missed; steps are few, and most are handed out with a workflow task anyway
    activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
    workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
  };
}
