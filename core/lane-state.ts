/**
 * What one lane (or the capture) is doing, apart from what the whole pipeline does.
 *
 *            pause                hold
 *   paused <------- running ----------------> held
 *      |              ^  |  ^                  |
 *      +--------------+  |  +------------------+
 *          resume        |        release
 *                        | refuse                 fail
 *                        +---------> parked ------------> broken
 *                        +------------------------------->  |
 *                     ^                 |        fail       |
 *                     +-----------------+-------------------+
 *                                    resume
 *            change                  pause
 *   running ----------> migrating ---------> paused   (the capture alone)
 *      ^                   | resume
 *      +-------------------+
 *
 * parked: only a person can mend it, and a sentence says how. broken: a bug, with its message. Both wait for `resume`, and
 * nothing else moves them, so that a reason is never lost by a pause. migrating: what follows has other columns, and a
 * migration says when to go on; paused and resumed, it finds that again.
 */
export type LaneState = 'running' | 'paused' | 'held' | 'parked' | 'broken' | 'migrating';
export type LaneEvent = 'pause' | 'resume' | 'hold' | 'release' | 'refuse' | 'fail' | 'change';

export const laneStates: Readonly<Record<LaneState, Readonly<Record<LaneEvent, LaneState>>>> = {
  running: { pause: 'paused', resume: 'running', hold: 'held', release: 'running', refuse: 'parked', fail: 'broken', change: 'migrating' },
  // a step that was ending when the pause came may still say that it is at the held position, or fail
  paused: { pause: 'paused', resume: 'running', hold: 'paused', release: 'paused', refuse: 'parked', fail: 'broken', change: 'migrating' },
  held: { pause: 'paused', resume: 'held', hold: 'held', release: 'running', refuse: 'parked', fail: 'broken', change: 'migrating' },
  parked: { pause: 'parked', resume: 'running', hold: 'parked', release: 'parked', refuse: 'parked', fail: 'broken', change: 'parked' },
  broken: { pause: 'broken', resume: 'running', hold: 'broken', release: 'broken', refuse: 'parked', fail: 'broken', change: 'broken' },
  migrating: { pause: 'paused', resume: 'running', hold: 'migrating', release: 'migrating', refuse: 'parked', fail: 'broken', change: 'migrating' },
};
