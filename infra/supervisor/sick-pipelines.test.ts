import { expect, test } from 'vitest';
import { sickSentence } from './sick-pipelines.ts';

const typed = (command: string) => `./sluice ${command} --data d`;

test('says of each pipeline why it does not run, and what to type', () => {
  const sick = [
    { name: 'engagement', state: 'unreachable', reason: 'its workflow does not get on: its last task failed 7 times (no such workflow); see ./sluice logs worker' },
    { name: 'trending', state: 'parked', reason: 'wal_level is replica' },
  ] as const;
  expect(sickSentence(sick, "the machine's load is 9.0 on 2 processors", typed).split('\n')).toEqual([
    'Everything is up and stays so, but not every pipeline runs:',
    `  engagement is unreachable: ${sick[0].reason}`,
    '  trending is parked: wal_level is replica',
    "It may only take longer: the machine's load is 9.0 on 2 processors.",
    'Mend what parked it, then type ./sluice resume trending --data d; after a change of the definition, ./sluice down --data d and ./sluice up --data d.',
    'See how it goes with ./sluice status --data d, and stop with ./sluice down --data d.',
  ]);
});

test('a first load that takes long is no failure', () => {
  expect(sickSentence([{ name: 'engagement', state: 'loading', reason: null }], undefined, typed)).toMatch(/engagement is loading: its first load goes on\nSee how/);
});
