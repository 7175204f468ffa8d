import { lanesOf } from '../../core/define/lanes.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { classified } from './errors.ts';
import type { Queryable, State } from './state/state.ts';

/** A live structure is to be made anew, as the panes that it is made of have got the event of a letter. */
export type DueRebuild = { readonly id: string; readonly lane: string };

/** In the transaction that settles a letter of the aggregate lane: whatever happens then, each live structure is still due. */
export async function noteRebuilds(client: Queryable, pipeline: Pipeline): Promise<void> {
  const lanes = lanesOf(pipeline).flatMap(({ name, kind }) => (kind === 'redis-live' ? [name] : []));
  await client.query('insert into sluice.live_rebuild (pipeline, lane) select $1, unnest($2::text[])', [pipeline.name, lanes]);
}

/** To be read before the panes are: what is noted later, they may not have. */
export async function dueRebuilds(state: State, pipeline: string): Promise<readonly DueRebuild[]> {
  const { rows } = await classified('state database', () => state.query<DueRebuild>('select id, lane from sluice.live_rebuild where pipeline = $1', [pipeline]));
  return rows;
}

/** They were made anew. */
export async function forgetRebuilds(state: State, due: readonly DueRebuild[]): Promise<void> {
  await classified('state database', () => state.query('delete from sluice.live_rebuild where id = any($1::bigint[])', [due.map(({ id }) => id)]));
}
