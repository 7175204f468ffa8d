import { expect, test } from 'vitest';
import { actionCounts, actionsBetween } from './actions.ts';

const metrics = `# HELP action action counter
# TYPE action counter
action{action_type="activity_retry",namespace="default",operation="PollActivityTaskQueue",service_name="frontend"} 71
action{action_type="grpc_RecordActivityTaskHeartbeat",namespace="default",operation="RecordActivityTaskHeartbeat",service_name="frontend"} 1169
action{action_type="grpc_StartWorkflowExecution",namespace="default",operation="SignalWithStartWorkflowExecution",service_name="frontend"} 1
action{action_type="grpc_StartWorkflowExecution",namespace="default",operation="StartWorkflowExecution",service_name="frontend"} 1
action{action_type="grpc_StartWorkflowExecution",namespace="temporal_system",operation="StartWorkflowExecution",service_name="frontend"} 2
activity_info_count_sum{namespace="default"} 3
`;

test("a namespace's actions are read out of the server's metrics, whatever request they came with", () => {
  expect(actionCounts(metrics, 'default')).toEqual({ activity_retry: 71, grpc_RecordActivityTaskHeartbeat: 1169, grpc_StartWorkflowExecution: 2 });
  expect(actionCounts(metrics, 'other')).toEqual({});
});

test('what was counted between two looks is told by type, greatest first, and as a rate', () => {
  const actions = actionsBetween({ heartbeats: 10, steps: 5 }, { steps: 8, heartbeats: 73, signals: 1, retries: 0 }, 30);
  expect(actions).toEqual({ seconds: 30, count: 67, byType: { heartbeats: 63, steps: 3, signals: 1 }, perHour: 8_040, perDay: 192_960 });
  expect(Object.keys(actions.byType)).toEqual(['heartbeats', 'steps', 'signals']);
});
