import { paneSetsOf } from '../core/views/pane-sets.ts';
import type { Verification } from '../core/verification.ts';
import type { World } from './world.ts';

/** How far behind the source's clock the pipeline's may be when every lane has caught up: a canary comes each ten seconds. */
const behindMs = 30_000;

/** Why a comparison says nothing though all of it is equal: it was of nothing. */
export function emptyDoubts(world: World, { checks }: Verification): readonly string[] {
  const rows = new Set(['aggregate', world.laneOf('clickhouse')]);
  const empty = checks.filter(({ sink, note, expected, actual }) => rows.has(sink) && note === undefined && expected.rows === 0 && actual.rows === 0);
  return empty.map(({ sink, what }) => `nothing was compared of ${what} in ${sink}: there was none on either side`);
}

/** Or by a clock that nobody else has (E13). Asked before the comparison, in which it stands still. */
export async function clockDoubts({ name, pipeline, state, source }: World): Promise<readonly string[]> {
  if (paneSetsOf(pipeline).length === 0) return [];
  const { rows: [aggregate] } = await state.query<{ ms: string | null }>('select (clock_us / 1000)::bigint::text as ms from sluice.aggregate where pipeline = $1', [name]);
  const { rows: [now] } = await source.query<{ ms: string }>('select (extract(epoch from now()) * 1000)::bigint::text as ms');
  const aheadMs = Number(aggregate?.ms ?? Number.NaN) - Number(now!.ms);
  if (aheadMs > -behindMs && aheadMs <= pipeline.settings.maxFutureMs) return [];
  return [`the clock of windows is ${(aheadMs / 1000).toFixed(0)} s from the source's`];
}
