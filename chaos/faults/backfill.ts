import { followBackfill, startBackfill } from '../../client/backfills.ts';
import { repairPipeline } from '../../client/repairs.ts';
import { paneTable } from '../../connectors/postgres/aggregate/pane-store.ts';
import { quote } from '../../connectors/postgres/source-catalog.ts';
import { backfillRequest } from '../../core/backfill.ts';
import type { RepairReport } from '../../core/repair.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import { boundsAt, noClock } from '../../core/views/watermark.ts';
import { struckMs, type Fault } from '../fault.ts';
import { until } from '../until.ts';
import { sampleTables } from '../random-transactions.ts';
import type { World } from '../world.ts';
import { dead } from './kill.ts';
import { asideBy, ofSample } from './time.ts';

const unfit = (world: World) => (world.laneOf('clickhouse') === undefined || paneSetsOf(world.pipeline).length === 0 ? `Pipeline ${world.name} has no views, or no rows with versions.` : undefined);

const spoiled: Fault = {
  name: 'backfill/spoiled',
  what: 'Somebody changes panes of closed windows, and rows in ClickHouse, by hand; then a backfill computes that time anew, under load.',
  expected: 'Panes, windows and rows are what the source says, and the stream goes on beside it.',
  drawn: true,
  forgets: true,
  unfit,
  async strike(world, _, signal) {
    const { range, what } = await spoil(world, signal);
    const rows = await computed(world, range, signal);
    return { evidence: `${what} were changed by hand; ${rows} rows were read again` };
  },
};

const killedInChunk: Fault = {
  name: 'backfill/killed',
  what: 'The same, and the worker is killed (SIGKILL) when a chunk has taken its place and the backfill does not know.',
  expected: 'The next attempt takes another snapshot, and goes on behind what is done.',
  drawn: true,
  forgets: true,
  unfit,
  async strike(world, _, signal) {
    const { range, what } = await spoil(world, signal);
    const deathsBefore = world.processes.endings('worker').length;
    await world.killOrders.arm('backfill/chunk');
    const computing = computed(world, range, signal);
    computing.catch(() => {});
    const { evidence } = await dead(world, 'backfill/chunk', deathsBefore, signal);
    return { evidence: `${what} were changed by hand; ${evidence}; ${await computing} rows were read again in all` };
  },
};

const late: Fault = {
  name: 'backfill/late',
  what: 'Forty events come half an hour late, and the repair of late changes is begun at once.',
  expected: 'Views set them aside as late; the repair computes their windows anew from the source, and nothing that has closed lacks them any more (E14).',
  drawn: true,
  forgets: true,
  unfit: ofSample,
  async strike(world, _, signal) {
    const lateMs = Date.now() - 1_800_000;
    const before = await lateAbout(world, lateMs);
    await world.source.query(sampleTables[world.name]!.insert, [1_800_000, 40]);
    await until('the events to be set aside', async () => (await lateAbout(world, lateMs)) > before, { timeoutMs: struckMs, everyMs: 200, signal });
    const found = await lateAbout(world, lateMs);
    let last: RepairReport = { repaired: [], failed: [], rows: 0, left: 0 };
    // one that met a fault beside it has left something
    const repaired = async () => {
      last = await repairPipeline(world.config, world.name);
      return (await lateAbout(world, lateMs)) === 0;
    };
    await until('the repair to have put them into their windows', repaired, { timeoutMs: struckMs, everyMs: 500, signal });
    return { evidence: `${found} changes of panes were late, and are not any more; the repair read ${last.rows} rows for ${last.repaired.length} ranges` };
  },
};

export const backfillFaults: readonly Fault[] = [spoiled, killedInChunk, late];

async function lateAbout(world: World, ms: number): Promise<number> {
  const count = await asideBy(world);
  return count('late', ms - 60_000, ms + 60_000);
}

type Range = { readonly fromMs: number; readonly toMs: number };

/** Some closed panes of each set, and some rows. Waits until there are any: the load may just have emptied the table. */
async function spoil(world: World, signal: AbortSignal): Promise<{ readonly range: Range; readonly what: string }> {
  let [range, rows, panes]: [Range | undefined, number, number] = [undefined, 0, 0];
  const changed = async () => {
    range = await closedTime(world);
    // rows first: what fails there has spoiled nothing that only a backfill mends
    rows = range ? await spoilRows(world, range) : 0;
    panes = range ? await spoilPanes(world, range) : 0;
    return panes > 0;
  };
  await until('closed panes to change', changed, { timeoutMs: struckMs, everyMs: 200, signal });
  return { range: range!, what: `${panes} panes and ${rows} rows` };
}

/** What is kept, up to the last window that has closed. */
async function closedTime(world: World): Promise<Range | undefined> {
  const { rows: [lane] } = await world.state.query<{ clock_us: string | null; horizon_ms: string }>('select clock_us, horizon_ms from sluice.aggregate where pipeline = $1', [world.name]);
  const { events } = world.pipeline.source;
  const { rows: [first] } = await world.source.query<{ ms: string | null }>(`select floor(extract(epoch from min(${events.eventTime})) * 1000)::bigint::text as ms from ${events.relation} where isfinite(${events.eventTime})`);
  if (!lane || first?.ms == null) return undefined;
  const longest = Math.max(...paneSetsOf(world.pipeline).map(({ paneMs }) => paneMs));
  const { closesUpToMs } = boundsAt({ clock: lane.clock_us === null ? noClock : Number(lane.clock_us), loaded: noClock }, longest, world.pipeline.settings);
  return { fromMs: Math.max(Number(first.ms), Number(lane.horizon_ms)), toMs: closesUpToMs };
}

/** Returns how many. */
async function spoilPanes(world: World, { fromMs, toMs }: Range): Promise<number> {
  if (!(fromMs < toMs)) return 0;
  let panes = 0;
  for (const set of paneSetsOf(world.pipeline)) {
    const table = paneTable(world.name, set);
    // a min or max is one then that no row has, and has more of them
    const more = set.accumulators.map(({ name }) => `${quote(name)} = ${quote(name)} + 7`);
    const { rowCount } = await world.state.query(`update ${table} set ${more.join(', ')} where (pane_ms, key) in (select pane_ms, key from ${table} where pane_ms >= $1 and pane_ms + $3 <= $2 limit 20)`, [fromMs, toMs, set.paneMs]);
    panes += rowCount ?? 0;
  }
  return panes;
}

/** Likewise. */
async function spoilRows(world: World, { fromMs, toMs }: Range): Promise<number> {
  const sink = world.pipeline.sinks[world.laneOf('clickhouse')!] as Extract<World['pipeline']['sinks'][string], { kind: 'clickhouse' }>;
  const key = sink.orderBy.join(', ');
  const time = world.pipeline.source.events.eventTime;
  const within = `${time} >= fromUnixTimestamp64Milli({from:Int64}) AND ${time} < fromUnixTimestamp64Milli({to:Int64})`;
  const query_params = { from: fromMs, to: toMs };
  // dead from their own position on: the next change of such a row brings it back, and else only a backfill does
  const { summary } = await world.clickhouse.command({ query: `INSERT INTO ${sink.table} (${key}, _position, _deleted) SELECT ${key}, _position + 1, 1 FROM ${sink.table} FINAL WHERE ${within} LIMIT 5`, query_params });
  return Number(summary?.written_rows ?? 0);
}

/** The pipeline's own repair may be computing some of it, or a fault beside it may have ended one: until it is done. */
async function computed(world: World, { fromMs, toMs }: Range, signal: AbortSignal): Promise<number> {
  let rows = 0;
  const done = async () => {
    const { workflowId } = await startBackfill(world.config, backfillRequest(world.pipeline, { fromMs, toMs, chunkRows: 2_000 }, Date.now()));
    const { state, progress, error } = await followBackfill(world.config, workflowId, () => {}, signal);
    if (state !== 'done') throw new Error(`it is ${state}: ${error ?? 'it was not to end so'}`);
    rows = progress!.rows;
    return true;
  };
  await until('a backfill of that time', done, { timeoutMs: struckMs, everyMs: 1_000, signal });
  return rows;
}
