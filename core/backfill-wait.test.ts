import { expect, test } from 'vitest';
import { whyItStands, type WaitedFor } from './backfill-wait.ts';

const running: WaitedFor = { name: 'p', state: 'running', capture: { state: 'running' }, lanes: [{ name: 'aggregate', state: 'running' }, { name: 'rows', state: 'paused' }] };
const aggregate = (state: WaitedFor['lanes'][number]['state']): WaitedFor => ({ ...running, lanes: [{ name: 'aggregate', state }] });

test.each<[string, WaitedFor, string | undefined]>([
  ['runs', running, undefined],
  ['is loading', { ...running, state: 'loading' }, undefined],
  ['is paused', { ...running, state: 'paused' }, 'p is paused: ./sluice resume p'],
  ['is being paused', { ...running, state: 'draining', capture: { state: 'migrating' } }, 'p is paused: ./sluice resume p'],
  ['has its lane paused', aggregate('paused'), "p's lane aggregate is paused: ./sluice resume p --lane aggregate"],
  ['has its lane parked', aggregate('parked'), "p's lane aggregate is parked: ./sluice status says why"],
  ['has its lane broken', aggregate('broken'), "p's lane aggregate is broken: ./sluice status says why"],
  ['has its lane held', aggregate('held'), "p's lane aggregate is held, for a comparison or a migration, and goes on after it: ./sluice status"],
  ['has its capture paused', { ...running, capture: { state: 'paused' } }, "p's capture is paused: ./sluice resume p --lane capture"],
  ['waits for a decision', { ...running, capture: { state: 'migrating' } }, "the columns of p's source have changed, and its migration is not over: ./sluice migrations p"],
  ['is parked', { ...running, state: 'parked' }, 'p is parked: ./sluice status says why'],
])('a backfill that waits for a lane of a pipeline that %s', (_, pipeline, why) => {
  expect(whyItStands(pipeline, 'aggregate')).toBe(why);
});

test('another lane that is paused is not what it waits for', () => {
  expect(whyItStands(running, 'rows')).toBe("p's lane rows is paused: ./sluice resume p --lane rows");
  expect(whyItStands(running, 'aggregate')).toBeUndefined();
});
