import { expect, test } from 'vitest';
import { stuckSentence } from './stuck-task.ts';

test.each([
  [{ attempt: 8, untakenMs: undefined, failure: 'no such workflow type' }, 'its workflow does not get on: its last task failed 7 times (no such workflow type); see ./sluice logs worker'],
  [{ attempt: 2, untakenMs: 9_000, failure: undefined }, 'its workflow does not get on: its last task failed once (Temporal does not say why); see ./sluice logs worker'],
  [{ attempt: 1, untakenMs: 42_400, failure: undefined }, "no worker has taken its workflow's task for 42 s; see ./sluice logs worker"],
  [{ attempt: 1, untakenMs: 200, failure: undefined }, undefined],
  [{ attempt: 1, untakenMs: undefined, failure: undefined }, undefined],
])('%j: %s', (task, sentence) => {
  expect(stuckSentence(task)).toBe(sentence);
});
