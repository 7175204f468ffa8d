import { expect, test } from 'vitest';
import type { ListedMigration } from '../client/migrations.ts';
import type { SourceChange } from '../core/migration/source-changes.ts';
import { behind } from './migrations.ts';

const renamed = (column: string, to: string): SourceChange => ({ kind: 'renamed', column, to, type: 'text' });
const migration = (number: number, state: ListedMigration['state'], change: SourceChange): ListedMigration => ({
  pipeline: 'engagement', number, epoch: 1, position: null, changes: [{ table: 'events', changes: [change] }], state, decision: null, error: null, detected: '', ended: null, workflowId: '', workflowUrl: null, text: null,
});
const first = migration(1, 'done', renamed('device', 'gadget'));
const back = (state: ListedMigration['state']) => migration(2, state, renamed('gadget', 'device'));
const told = [expect.stringMatching(/^In the source events\.device is gadget now, which pipelines\/engagement\.ts does not say/)];

test('what is to be changed in pipelines/ follows from the newest migration: one that waits keeps an older one from telling what is not so any more', () => {
  expect(behind('engagement', [first])).toEqual(told);
  expect(behind('engagement', [back('waiting'), first])).toEqual([]);
  expect(behind('engagement', [back('waiting'), first], 2)).toEqual([]);
  expect(behind('engagement', [back('done'), first])).toEqual([]);
  expect(behind('engagement', [migration(2, 'waiting', renamed('event_type', 'kind')), first])).toEqual(told);
  expect(behind('engagement', [migration(1, 'waiting', renamed('device', 'gadget'))])).toEqual([]);
});
