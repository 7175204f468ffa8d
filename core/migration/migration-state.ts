/**
 * What becomes of a change of the source's schema.
 *
 *                 ask               decide              reached              changed
 *   planned ---------------> waiting -----------> draining ----------> changing ----------> done
 *      |  |                     ^                    |                    |
 *      |  +---------------------|--------------------+ decide (automatic) |
 *      |                        +-----------------------------------------+ refuse
 *      | nothing, impossible
 *      +------------> unneeded, impossible
 *
 * waiting: somebody must approve or reject; the capture stands at the change and keeps what follows as it comes, lanes go on up to it. draining: until every
 * lane has what was before it. changing: the tables of sinks. A change that a sink refuses is asked about again. cancelled
 * from everywhere before its end: the pipeline is parked, and `resume` finds the same change again.
 */
export const migrationStateNames = ['planned', 'waiting', 'draining', 'changing', 'done', 'unneeded', 'impossible', 'cancelled'] as const;
export type MigrationState = (typeof migrationStateNames)[number];
export type MigrationEvent = 'ask' | 'decide' | 'reached' | 'changed' | 'refuse' | 'nothing' | 'impossible' | 'cancel' | 'again';

export const migrationStates: Readonly<Record<MigrationState, Readonly<Record<MigrationEvent, MigrationState>>>> = {
  planned: row('planned', { ask: 'waiting', decide: 'draining', nothing: 'unneeded', impossible: 'impossible', cancel: 'cancelled' }),
  waiting: row('waiting', { decide: 'draining', cancel: 'cancelled' }),
  draining: row('draining', { reached: 'changing', cancel: 'cancelled' }),
  changing: row('changing', { changed: 'done', refuse: 'waiting', cancel: 'cancelled' }),
  done: row('done', {}),
  unneeded: row('unneeded', {}),
  // the definition was changed since
  impossible: row('impossible', { again: 'planned' }),
  cancelled: row('cancelled', { again: 'planned' }),
};

/** Nothing follows but `again`. */
export function isOver(state: MigrationState): boolean {
  return state === 'done' || state === 'unneeded' || state === 'impossible' || state === 'cancelled';
}

function row(itself: MigrationState, moves: Partial<Record<MigrationEvent, MigrationState>>): Readonly<Record<MigrationEvent, MigrationState>> {
  return { ask: itself, decide: itself, reached: itself, changed: itself, refuse: itself, nothing: itself, impossible: itself, cancel: itself, again: itself, ...moves };
}
