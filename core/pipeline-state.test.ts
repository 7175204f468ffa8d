import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pipelineStates, type PipelineEvent, type PipelineState } from './pipeline-state.ts';

const events: readonly PipelineEvent[] = ['loaded', 'refuse', 'pause', 'drain', 'stopped', 'resume'];
const states = Object.keys(pipelineStates) as PipelineState[];

/** Every cell, written a second time on purpose. */
const expected: Record<PipelineState, string> = {
  //        loaded   refuse   pause    drain    stopped resume
  loading: 'running  parked   draining loading  loading loading',
  running: 'running  parked   draining draining running running',
  draining: 'draining draining draining draining paused  loading',
  paused: 'paused   paused   paused   paused   paused  loading',
  parked: 'parked   parked   draining parked   parked  loading',
};

describe('the pipeline as a state machine', () => {
  test.each(states)('%s', (state) => {
    expect(events.map((event) => pipelineStates[state][event])).toEqual(expected[state].split(/\s+/));
  });

  const run = (from: PipelineState, happened: readonly PipelineEvent[]) => happened.reduce((state, event) => pipelineStates[state][event], from);

  test('a pipeline that was paused does not run before it is resumed', () => {
    const others = fc.array(fc.constantFrom(...events.filter((event) => event !== 'resume')));
    fc.assert(fc.property(fc.constantFrom(...states), others, (from, then) => void expect(['draining', 'paused']).toContain(run(from, ['pause', ...then]))));
  });

  test('resume leads every pipeline back to running', () => {
    fc.assert(fc.property(fc.constantFrom(...states), (from) => void expect(run(from, ['resume', 'loaded'])).toBe('running')));
  });
});
