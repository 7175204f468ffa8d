import { repairPipeline } from '../../client/repairs.ts';
import { paneTable } from '../../connectors/postgres/aggregate/pane-store.ts';
import { quote, quoteRelation } from '../../connectors/postgres/source-catalog.ts';
import { paneOf } from '../../connectors/verification/pane-sql.ts';
import { toScaledSql } from '../../core/expressions/scaled-sql.ts';
import { extremesOf } from '../../core/views/extremes.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import type { Accumulator, PaneSet } from '../../core/views/panes.ts';
import { boundsAt, noClock } from '../../core/views/watermark.ts';
import { struckMs, type Fault } from '../fault.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

const extremesLost: Fault = {
  name: 'backfill/extremes-lost',
  what: 'The rows that have the min or max of closed panes are deleted, and the repair is begun at once.',
  expected: 'Only the source knows the next one: the panes are noted, and the repair computes them anew under load (E15). Windows show the value of before until then.',
  drawn: true,
  forgets: true,
  unfit: (world) => (paneSetsOf(world.pipeline).some((set) => extremesOf(set).length > 0) ? undefined : `Pipeline ${world.name} has no view with a min or max.`),
  async strike(world, _, signal) {
    const taken: Extreme[] = [];
    let rows = 0;
    // what a lane that is far behind is to take out is late, and what comes beyond it meanwhile takes its place
    const lost = async () => {
      if ((await whole(world, taken)) < taken.length) return true;
      const more = await takeExtremes(world);
      taken.push(...more.taken);
      rows += more.rows;
      return false;
    };
    await until('closed panes to lose their min or max', lost, { timeoutMs: struckMs, everyMs: 1_000, signal });
    let read = 0;
    // one that met a fault beside it has left something
    const repaired = async () => {
      read += (await repairPipeline(world.config, world.name)).rows;
      return (await whole(world, taken)) === taken.length;
    };
    await until('the repair to have computed them anew', repaired, { timeoutMs: struckMs, everyMs: 500, signal });
    return { evidence: `${rows} rows were deleted that had the min or max of ${taken.length} keys in closed panes; the repair read ${read} rows, and none of them lacks its own any more` };
  },
};

export const extremeFaults: readonly Fault[] = [extremesLost];

/** What one key had in one pane of a set, by the place of its extreme. */
type Extreme = { readonly set: PaneSet; readonly place: number; readonly pane: string; readonly key: string; readonly value: string };
type Lost = { readonly taken: readonly Extreme[]; readonly rows: number };

/** The lane may be behind the stream. */
const marginMs = 15_000;

/** Of some keys that have other rows beside it, in panes that have closed and not for good: whatever is taken out of those is set aside as late. */
async function takeExtremes({ name, pipeline, state, source }: World): Promise<Lost> {
  const { rows: [lane] } = await state.query<{ clock_us: string | null }>('select clock_us from sluice.aggregate where pipeline = $1', [name]);
  if (lane?.clock_us == null) return { taken: [], rows: 0 };
  const { events } = pipeline.source;
  const event = quote('events row');
  const time = `${event}.${quote(events.eventTime)}`;
  const taken: Extreme[] = [];
  let rows = 0;
  for (const set of paneSetsOf(pipeline)) {
    for (const { value: place, rows: having, inputs } of extremesOf(set)) {
      const { closesUpToMs, closedBeforeMs } = boundsAt({ clock: Number(lane.clock_us), loaded: noClock }, set.paneMs, pipeline.settings);
      const column = (at: number) => quote(set.accumulators[at]!.name);
      const { rows: panes } = await state.query<{ pane: string; key: string; value: string }>(
        `select pane_ms::text as pane, key, ${column(place)}::text as value from ${paneTable(name, set)} where pane_ms > $1 and pane_ms + $3 <= $2 and ${column(having)} = 1 and ${column(inputs)} > 1 limit 5`,
        [closedBeforeMs + marginMs, closesUpToMs, set.paneMs],
      );
      const { of, scale } = set.accumulators[place] as Extract<Accumulator, { kind: 'min' | 'max' }>;
      for (const each of panes) {
        const { rowCount } = await source.query(
          `delete from ${quoteRelation(events.relation)} ${event} where (case when isfinite(${time}) then ${paneOf(`(extract(epoch from ${time}) * 1000000)`, set.paneMs)} end) = $1
             and concat(${event}.${quote(set.key)}) = $2 and ${toScaledSql(of, scale, { events: 'events row' })} = $3`,
          [each.pane, each.key, each.value],
        );
        if (rowCount) taken.push({ set, place, ...each });
        rows += rowCount ?? 0;
      }
    }
  }
  return { taken, rows };
}

/** How many of them have an extreme of their own, or no rows any more. */
async function whole({ name, state }: World, taken: readonly Extreme[]): Promise<number> {
  let count = 0;
  for (const { set, place, pane, key } of taken) {
    const { rows: having, inputs } = extremesOf(set).find(({ value }) => value === place)!;
    const column = (at: number) => quote(set.accumulators[at]!.name);
    const { rows } = await state.query(`select from ${paneTable(name, set)} where pane_ms = $1 and key = $2 and ${column(having)} <= 0 and ${column(inputs)} <> 0`, [pane, key]);
    if (rows.length === 0) count++;
  }
  return count;
}
