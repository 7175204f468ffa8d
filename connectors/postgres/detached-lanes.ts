import type { Position } from '../../core/position.ts';
import type { Queryable } from './state/state.ts';

export type Detached = { readonly fence: Position | null; /** ISO time. */ readonly at: string };

/** From when this returns nothing is kept for it. One that is already stays as it is. */
export async function detachLane(state: Queryable, pipeline: string, lane: string, fence: Position | undefined): Promise<void> {
  await state.query('insert into sluice.detached_lane (pipeline, lane, fence) values ($1, $2, $3) on conflict do nothing', [pipeline, lane, fence ?? null]);
}

/** By lane. */
export async function readDetached(state: Queryable, pipeline: string): Promise<ReadonlyMap<string, Detached>> {
  const { rows } = await state.query<{ lane: string; fence: Position | null; detached_at: Date }>({ name: 'detached lanes', text: 'select lane, fence, detached_at from sluice.detached_lane where pipeline = $1 order by lane', values: [pipeline] });
  return new Map(rows.map(({ lane, fence, detached_at }) => [lane, { fence, at: detached_at.toISOString() }]));
}
