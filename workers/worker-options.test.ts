import { expect, test } from 'vitest';
import { workerOptions } from './worker-options.ts';

test('E26: rare heartbeats of steps do not make a comparison, which beats twice a second, hear of its end later', () => {
  expect(workerOptions({ heartbeatMs: 10_000, mostParts: 14 })).toMatchObject({ maxHeartbeatThrottleInterval: 1_000, defaultHeartbeatThrottleInterval: 1_000 });
});

test('E23: a pause is heard within a second, a killed worker waited for 2 s, steps are told at once to end, and none goes without its eager place', () => {
  expect(workerOptions({ heartbeatMs: 1_000, mostParts: 14 })).toMatchObject({
    maxHeartbeatThrottleInterval: 1_000,
    defaultHeartbeatThrottleInterval: 1_000,
    stickyQueueScheduleToStartTimeout: 2_000,
    shutdownGraceTime: 0,
    shutdownForceTime: 2_500,
    maxEagerActivityReservationsPerWorkflowTask: 15,
  });
});
