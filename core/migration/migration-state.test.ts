import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isOver, migrationStateNames, migrationStates, type MigrationEvent, type MigrationState } from './migration-state.ts';

const events: readonly MigrationEvent[] = ['ask', 'decide', 'reached', 'changed', 'refuse', 'nothing', 'impossible', 'cancel', 'again'];

/** Every cell, written a second time on purpose. */
const expected: Record<MigrationState, string> = {
  //          ask        decide     reached    changed    refuse     nothing    impossible cancel     again
  planned: '  waiting    draining   planned    planned    planned    unneeded   impossible cancelled  planned',
  waiting: '  waiting    draining   waiting    waiting    waiting    waiting    waiting    cancelled  waiting',
  draining: ' draining   draining   changing   draining   draining   draining   draining   cancelled  draining',
  changing: ' changing   changing   changing   done       waiting    changing   changing   cancelled  changing',
  done: '     done       done       done       done       done       done       done       done       done',
  unneeded: ' unneeded   unneeded   unneeded   unneeded   unneeded   unneeded   unneeded   unneeded   unneeded',
  impossible: 'impossible impossible impossible impossible impossible impossible impossible impossible planned',
  cancelled: 'cancelled  cancelled  cancelled  cancelled  cancelled  cancelled  cancelled  cancelled  planned',
};

describe('the migration as a state machine', () => {
  test.each(migrationStateNames)('%s', (state) => {
    expect(events.map((event) => migrationStates[state][event])).toEqual(expected[state].trim().split(/\s+/));
  });

  const run = (from: MigrationState, happened: readonly MigrationEvent[]) => happened.reduce((state, event) => migrationStates[state][event], from);
  const anyEvents = (without: readonly MigrationEvent[]) => fc.array(fc.constantFrom(...events.filter((event) => !without.includes(event))));

  test('no table changes before somebody decided, and nothing is done before it has', () => {
    fc.assert(fc.property(anyEvents(['decide']), (then) => void expect(['draining', 'changing', 'done']).not.toContain(run('planned', then))));
    fc.assert(fc.property(anyEvents(['changed']), (then) => void expect(run('planned', then)).not.toBe('done')));
  });

  test('cancelled anywhere it is over, and stays so until it is asked about again', () => {
    fc.assert(fc.property(fc.constantFrom(...migrationStateNames), anyEvents(['again']), (from, then) => void expect(isOver(run(from, ['cancel', ...then]))).toBe(true)));
  });
});
