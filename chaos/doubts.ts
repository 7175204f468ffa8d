import { paneSetsOf } from '../core/views/pane-sets.ts';
import type { Verification } from '../core/verification.ts';
import type { World } from './world.ts';

/** How far behind the source's clock the pipeline's may be when every lane has caught up: a canary comes each ten seconds. */
const behindMs = 30_000;

/** Why a run's comparisons say nothing of a part of a sink, though all of it was equal: it was never there. */
export function emptyDoubts(verifications: readonly Verification[]): readonly string[] {
  const compared = verifications.flatMap(({ checks }) => checks).filter(({ note, expected, actual }) => note === undefined || expected.rows + actual.rows > 0);
  const parts = Map.groupBy(compared, ({ sink, what }) => `${what} in ${sink}`);
  return [...parts].filter(([, checks]) => checks.every(({ expected, actual }) => expected.rows + actual.rows === 0)).map(([part]) => `nothing was compared of ${part}: there was none on either side`);
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
