import type { StoppedSteps } from '../../core/stopped-steps.ts';
import type { Listener } from './state/listener.ts';
import type { Queryable } from './state/state.ts';

/** The channel on which a run says that it has stopped steps. */
export const stoppedChannel = 'sluice_stopped';

/**
 * Records the newest stopped step of each part, and says so when that is committed. Whoever comes late with less (an attempt
 * of a workflow task that was given to another worker) changes nothing. Rows of yesterday's runs are deleted.
 */
export async function recordStopped(state: Queryable, run: string, steps: Readonly<Record<string, number>>): Promise<void> {
  await state.query(
    `with recorded as (
       insert into sluice.stopped_step (run, part, number) select $1, part, number from unnest($2::text[], $3::int[]) as stopped (part, number)
       on conflict (run, part) do update set number = greatest(stopped_step.number, excluded.number), stopped_at = now()),
     forgotten as (delete from sluice.stopped_step where run <> $1 and stopped_at < now() - interval '1 day')
     select pg_notify($4, '')`,
    [run, Object.keys(steps), Object.values(steps), stoppedChannel],
  );
}

export async function readStopped(listener: Pick<Listener, 'query'>, runs: readonly string[]): Promise<StoppedSteps> {
  const { rows } = await listener.query<StoppedSteps[number]>('select run, part, number from sluice.stopped_step where run = any($1::text[])', [runs]);
  return rows;
}
