import { expect, test } from 'vitest';
import type { WorkflowStatus } from '../workflows/messages.ts';
import { migrationOf, waitingFor } from './waiting-migration.ts';

const part = { kind: 'capture', state: 'migrating', fence: null, last: null } as const;
const statusWith = (error: string | null): WorkflowStatus => ({ name: 'lines', state: 'running', capture: { ...part, name: 'capture', error }, lanes: [], notes: [], error: null, started: '2026-11-21T10:00:00.000Z' });

test.each([
  ["migration 12 of its source's columns is not over: ./sluice migrations lines", 12],
  ['Table public.lines has no primary key', undefined],
  [null, undefined],
])('%s', (error, number) => expect(migrationOf(statusWith(error))).toBe(number));

test('whoever is waited for is told so', () => {
  expect(waitingFor(statusWith('before'), 12).capture).toEqual({ ...part, name: 'capture', error: "migration 12 of its source's columns waits for your decision: ./sluice migrations lines" });
});
