import type { Position } from '../../core/position.ts';
import { readJoining } from './redefinitions.ts';
import type { ShardState } from './shard-state.ts';
import { inTransaction, type Queryable, type State } from './state/state.ts';

export type Detached = { readonly fence: Position | null; /** ISO time. */ readonly at: string };

/** `isJoining`: it is loaded, and will join what runs. */
export type Standing = Pick<ShardState, 'epoch' | 'redefinition'> & { readonly isJoining: boolean };

/**
 * From when this returns true nothing is kept for it. One that is already stays as it is. False: the pipeline was loaded, its definition has changed,
 * or the lane has joined, since it was seen to stand still.
 */
export function detachLane(state: State, pipeline: string, lane: string, fence: Position | undefined, seen: Standing): Promise<boolean> {
  return inTransaction(state, async (client) => {
    // whoever lets it join has the row to itself
    const { rows } = await client.query<{ epoch: string; redefinition: number }>('select epoch, redefinition from sluice.shard where pipeline = $1 and shard = $1 for share', [pipeline]);
    const isJoining = (await readJoining(client, pipeline)).has(lane);
    if (Number(rows[0]?.epoch) !== seen.epoch || rows[0]!.redefinition !== seen.redefinition || isJoining !== seen.isJoining) return false;
    await client.query('insert into sluice.detached_lane (pipeline, lane, fence) values ($1, $2, $3) on conflict do nothing', [pipeline, lane, fence ?? null]);
    return true;
  });
}

/** By lane. */
export async function readDetached(state: Queryable, pipeline: string): Promise<ReadonlyMap<string, Detached>> {
  const { rows } = await state.query<{ lane: string; fence: Position | null; detached_at: Date }>({ name: 'detached lanes', text: 'select lane, fence, detached_at from sluice.detached_lane where pipeline = $1 order by lane', values: [pipeline] });
  return new Map(rows.map(({ lane, fence, detached_at }) => [lane, { fence, at: detached_at.toISOString() }]));
}
