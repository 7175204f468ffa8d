import { setTimeout as wait } from 'node:timers/promises';
import { Client } from 'pg';
import { followBackfill, startBackfill } from '../../client/backfills.ts';
import { backfillRequest, type BackfillRequest, type BackfillStatus } from '../../core/backfill.ts';
import { type Case, type CaseContext, type Line, noFigures } from '../case.ts';
import { compareByVerify } from '../compare.ts';
import { fill } from '../fill.ts';
import { medianOf } from '../lines.ts';
import { LoadProcess } from '../load-process.ts';
import { type Mark, Marks, percentiles } from '../marks.ts';
import { writerName } from '../meter.ts';
import { peakMiB, resetPeak } from '../processes.ts';
import type { World } from '../world.ts';
import { liveRate } from './latency.ts';

const name = 'engagement';
const spreadMs = 24 * 3_600_000;
const quietMs = 120_000;
const windowMs = 10_000;
const kills = 5;
/** What came last may still be open, or be said late. */
const openMs = 180_000;
/** For the first load. */
const loadMs = 20 * 60_000;

export const backfillFigures = { before: 'p99 before, median of 10 s, ms', beside: 'p99 beside it, median of 10 s, ms' } as const;

export const backfill: Case = {
  name: 'backfill',
  what: `Five times the events of plain over 24 hours of windows are computed anew, all views and rows, beside a load of ${liveRate.toLocaleString('en')}/s and updates and deletes in that range: once as it is, once with the worker killed ${kills} times. Latencies are to Redis, where nobody dies. Compared by verify after each.`,
  short: false,
  // twice nine minutes are those of the comparisons
  limitMinutes: 75,

  async *run(context) {
    const { rows, signal } = context;
    const world = await context.open();
    const { client, config } = world;
    const events = 5 * rows;
    const workload = await world.workload();
    await client.query('create index on public.engagement_events (event_ts)');
    const begunMs = Date.now();
    await fill(client, workload, events, signal, spreadMs);
    const request = backfillRequest(world.fences(name).pipeline, { fromMs: wholePanes(begunMs - spreadMs), toMs: wholePanes(Date.now() - openMs) }, Date.now());
    await world.startWithin(loadMs, name);
    for (const deaths of [0, kills]) {
      const load = await LoadProcess.start(config, client, liveRate, signal);
      try {
        yield await load.during(measure(context, world, { request, events, deaths }));
      } finally {
        await load.stop();
      }
      context.compared(await compareByVerify(world, name));
    }
  },
};

async function measure({ signal }: CaseContext, world: World, { request, events, deaths }: { readonly request: BackfillRequest; readonly events: number; readonly deaths: number }): Promise<Line> {
  // who waits for a worker that dies again and again measures that
  const marks = deaths === 0 ? await Marks.start({ config: world.config, pipeline: world.fences(name).pipeline, sink: 'redis', signal }) : undefined;
  if (marks) await wait(quietMs, undefined, { signal });
  resetPeak(world.workerPid);
  const beganAt = performance.now();
  const changing = new AbortController();
  const changes = changeRows(world, events, AbortSignal.any([signal, changing.signal]));
  changes.catch(() => {}); // awaited below
  let killed = 0;
  let progress: BackfillStatus['progress'];
  let changed: number;
  try {
    const { workflowId } = await startBackfill(world.config, request);
    ({ progress } = await followBackfill(world.config, workflowId, ({ progress: now }) => {
      if (killed === deaths || !now || now.doneToMs < request.fromMs + ((killed + 1) / (deaths + 1)) * (request.toMs - request.fromMs)) return;
      process.kill(world.workerPid, 'SIGKILL');
      killed++;
    }));
  } finally {
    changing.abort();
    changed = await changes;
  }
  const endedAt = performance.now();
  const all = await marks?.finish();
  const seconds = (endedAt - beganAt) / 1000;
  return {
    ...noFigures,
    name: deaths === 0 ? 'nobody dies' : `the worker is killed ${killed} times`,
    rate: (progress?.rows ?? 0) / seconds,
    // of the last worker alone, if some died
    peakMiB: deaths === 0 ? peakMiB(world.workerPid) : null,
    figures: { 'rows read': progress?.rows ?? 0, 'done after s': seconds, 'changes in its range': changed, ...(all && { [backfillFigures.before]: medianP99(all, beganAt - quietMs, beganAt), [backfillFigures.beside]: medianP99(all, beganAt, endedAt) }) },
  };
}

/** Of marks written in [from, to), by ten seconds. */
function medianP99(marks: readonly Mark[], from: number, to: number): number {
  const windows = Array.from({ length: Math.max(1, Math.floor((to - from) / windowMs)) }, (_, place) => from + place * windowMs);
  return medianOf(windows.map((start) => percentiles(marks.filter(({ atMs }) => atMs >= start && atMs < start + windowMs)).p99))!;
}

/** Rows of the range change, move in time, and go. Returns how many did. */
async function changeRows({ config }: World, events: number, signal: AbortSignal): Promise<number> {
  const client = new Client({ connectionString: config.sourceUrl, application_name: writerName });
  client.on('error', () => {}); // the next query says it
  await client.connect();
  let changed = 0;
  try {
    while (!signal.aborted) {
      const some = 'select (1 + random() * $1)::bigint from generate_series(1, $2::int)';
      const updated = await client.query(`update public.engagement_events set duration_ms = coalesce(duration_ms, 0) + 1, event_ts = event_ts - interval '7 seconds' where id in (${some})`, [events, 15]);
      const deleted = await client.query(`delete from public.engagement_events where id in (${some})`, [events, 5]);
      changed += (updated.rowCount ?? 0) + (deleted.rowCount ?? 0);
      await wait(100);
    }
    return changed;
  } finally {
    await client.end();
  }
}

function wholePanes(ms: number): number {
  return Math.floor(ms / 60_000) * 60_000;
}
