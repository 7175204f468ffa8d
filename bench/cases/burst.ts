import { setTimeout as wait } from 'node:timers/promises';
import { type Case, type CaseContext, type Line, noFigures } from '../case.ts';
import { compareSamples } from '../compare.ts';
import { fill, writeLast } from '../fill.ts';
import { LoadProcess } from '../load-process.ts';
import { type Mark, Marks, percentiles } from '../marks.ts';
import { peakMiB, resetPeak } from '../processes.ts';
import { reachedRate } from '../rounds.ts';
import type { World } from '../world.ts';
import { liveRate } from './latency.ts';

const name = 'engagement';
const quietMs = 10_000;
const transactions = 10;

export const burstFigures = { absorbed: 'absorbed after s', allowed: 'twice what catching up needs, s', back: 'p99 as before after s' } as const;

export const burst: Case = {
  name: 'burst',
  what: `A tenth of the events of plain in one second, beside a steady load of ${liveRate.toLocaleString('en')}/s. Absorbed: from its beginning until every lane has all of it. As before: from its end on, the p99 of the latency to Redis is at most what was the highest latency in the ten seconds before.`,
  short: true,
  limitMinutes: 6,

  async *run(context) {
    const world = await context.open();
    await world.start(name);
    const reached = await reachedRate(context, world, name);
    const events = Math.ceil(context.rows / 10);
    const workload = await world.workload();
    // what the burst repeats
    await fill(world.client, workload, events, context.signal);
    const load = await LoadProcess.start(world.config, world.client, liveRate, context.signal);
    try {
      yield await load.during(measure(context, world, events, reached));
    } finally {
      await load.stop();
    }
    context.compared(await compareSamples(world, workload, [name]));
  },
};

async function measure({ signal }: CaseContext, world: World, events: number, reached: number): Promise<Line> {
  const fences = world.fences(name);
  const workload = await world.workload();
  await fences.passedNow(world.client, workload, signal);
  const marks = await Marks.start({ config: world.config, pipeline: fences.pipeline, sink: 'redis', signal });
  await wait(quietMs, undefined, { signal });
  resetPeak(world.workerPid);
  const beganAt = performance.now();
  for (let part = 0; part < transactions; part++) {
    // in one second, unless the source is slower
    await wait(Math.max(0, beganAt + part * (1_000 / transactions) - performance.now()), undefined, { signal });
    await repeatRows(world, Math.ceil(events / transactions), part);
  }
  const last = await writeLast(world.client, () => workload.insert(world.client, [Date.now()]));
  const endedAt = performance.now();
  await fences.passed(last, { timeoutMs: 60_000, signal, onLook: async () => {} });
  const absorbed = (performance.now() - beganAt) / 1000;
  await wait(quietMs, undefined, { signal });
  const all = await marks.finish();
  const before = percentiles(all.filter(({ atMs }) => atMs < beganAt));
  const figures = {
    'written in s': (endedAt - beganAt) / 1000,
    [burstFigures.absorbed]: absorbed,
    [burstFigures.allowed]: (2 * events) / reached,
    'p99 before, ms': before.p99,
    'highest before, ms': before.most,
    'highest, ms': percentiles(all).most,
    [burstFigures.back]: settledAfter(all, endedAt, before.most) / 1000,
  };
  return { ...noFigures, name: `${events.toLocaleString('en')} events`, rate: events / absorbed, peakMiB: peakMiB(world.workerPid), figures };
}

/** Rows that are there, once more, with the present as event time. */
async function repeatRows({ client }: World, count: number, part: number): Promise<void> {
  await client.query(
    `insert into public.engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device, raw_payload)
     select content_id, user_id, event_type, clock_timestamp(), duration_ms, device, raw_payload from public.engagement_events where id > $1 order by id limit $2`,
    [part * count, count],
  );
}

/** The least time after `fromMs`, in tenths of a second, from which on the p99 is at most `limitMs`; all that was watched if it never is. */
export function settledAfter(marks: readonly Mark[], fromMs: number, limitMs: number): number {
  const end = marks.at(-1)?.atMs ?? fromMs;
  for (let after = 0; fromMs + after < end; after += 100) {
    if (percentiles(marks.filter(({ atMs }) => atMs >= fromMs + after)).p99 <= limitMs) return after;
  }
  return end - fromMs;
}
