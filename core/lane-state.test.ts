import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { laneStates, type LaneEvent, type LaneState } from './lane-state.ts';

const events: readonly LaneEvent[] = ['pause', 'resume', 'hold', 'release', 'refuse', 'fail', 'change'];
const states = Object.keys(laneStates) as LaneState[];

/** Every cell, written a second time on purpose. */
const expected: Record<LaneState, string> = {
  //       pause  resume  hold   release refuse fail   change
  running: 'paused running held   running parked broken migrating',
  paused: 'paused running paused paused  parked broken migrating',
  held: 'paused held    held   running parked broken migrating',
  parked: 'parked running parked parked  parked broken parked',
  broken: 'broken running broken broken  parked broken broken',
  migrating: 'paused    running migrating migrating parked broken migrating',
};

describe('the lane as a state machine', () => {
  test.each(states)('%s', (state) => {
    expect(events.map((event) => laneStates[state][event])).toEqual(expected[state].split(/\s+/));
  });

  const run = (from: LaneState, happened: readonly LaneEvent[]) => happened.reduce((state, event) => laneStates[state][event], from);
  const anyEvents = (without: readonly LaneEvent[]) => fc.array(fc.constantFrom(...events.filter((event) => !without.includes(event))));

  test('a lane that was refused waits for a person, whatever else happens', () => {
    fc.assert(fc.property(fc.constantFrom(...states), anyEvents(['resume', 'fail']), (from, then) => void expect(run(from, ['refuse', ...then])).toBe('parked')));
  });

  test('no lane is held once it was released', () => {
    fc.assert(fc.property(fc.constantFrom(...states), anyEvents(['hold']), (from, then) => void expect(run(from, ['release', ...then])).not.toBe('held')));
  });

  test('a paused lane never runs before it is resumed', () => {
    fc.assert(fc.property(anyEvents(['resume']), (then) => void expect(run('paused', then)).not.toBe('running')));
  });
});
