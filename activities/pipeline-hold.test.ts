import { expect, test } from 'vitest';
import { notAnswered } from './pipeline-hold.ts';

test('a workflow that does not answer is no riddle: what Temporal says, and what to type', () => {
  const error = new Error('Failed to query Workflow', { cause: Object.assign(new Error('9 FAILED_PRECONDITION'), { details: 'Workflow Task in failed state' }) });
  expect(notAnswered('engagement', error).message).toMatch(/^The workflow of engagement does not answer \(Workflow Task in failed state\).*\.\/sluice status.*run verify again\.$/);
});
