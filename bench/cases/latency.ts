import { setTimeout as wait } from 'node:timers/promises';
import type { Pipeline } from '../../core/pipeline.ts';
import { sourceNames } from '../../connectors/postgres/source-catalog.ts';
import { type Case, type CaseContext, type Line, noFigures } from '../case.ts';
import { compareSamples } from '../compare.ts';
import { perMillion } from '../lines.ts';
import { eventsWritten, LoadProcess } from '../load-process.ts';
import { type MarkedSink, Marks, medianPercentiles, type Percentiles, percentiles } from '../marks.ts';
import { Meter } from '../meter.ts';
import { peakMiB, resetPeak } from '../processes.ts';
import { reachedRate } from '../rounds.ts';
import type { World } from '../world.ts';

export const liveRate = 3_333;
const mostMarks = 1_000;
const watchMs = 10_000;

/** A pipeline by its linger and gathering; `runs` of each measurement, of which the median counts. */
type Setting = { readonly pipeline: string; readonly runs: number; readonly short: boolean };

const settings: readonly Setting[] = [
  { pipeline: 'engagement', runs: 3, short: true },
  { pipeline: 'gather_50', runs: 3, short: false },
  { pipeline: 'linger_10', runs: 1, short: false },
  { pipeline: 'linger_100', runs: 1, short: false },
  { pipeline: 'linger_250', runs: 1, short: false },
];

/** Names of figures that goals look at. */
export const latencyFigures = { linger: 'linger ms', gather: 'gathering ms', asked: 'asked for events/s', p50: 'p50 ms', p99: 'p99 ms' } as const;

export const latency: Case = {
  name: 'latency',
  what: 'Milliseconds from the return of COMMIT at a client until a poll (every 5 ms in Redis, every 10 in ClickHouse) sees the row in the sink, beside a steady load; and what that load costs when nobody looks. --full also at half of the reached maximum and with other settings. The median of the runs.',
  short: true,
  limitMinutes: 20,

  async *run(context) {
    for (const setting of settings.filter(({ short }) => short || context.full)) {
      const { pipeline } = setting;
      const world = await context.open({ own: pipeline !== 'engagement' });
      await world.start(pipeline);
      const rates = context.full ? [liveRate, Math.floor((await reachedRate(context, world, pipeline)) / 2)] : [liveRate];
      for (const rate of rates) yield* atRate(context, world, setting, rate);
      context.compared(await compareSamples(world, await world.workload(), [pipeline]));
    }
  },
};

async function* atRate({ rows, signal }: CaseContext, world: World, { pipeline, runs }: Setting, rate: number): AsyncGenerator<Line> {
  const { client, config } = world;
  const load = await LoadProcess.start(config, client, rate, signal);
  const asked = `${pipeline}, ${rate.toLocaleString('en')}/s`;
  try {
    // looking for rows costs the sinks more than the load does
    yield { ...(await whileLive(world, pipeline, load, async () => wait(watchMs, undefined, { signal }))), name: `only the load, ${asked}`, figures: { [latencyFigures.asked]: rate } };
    for (const sink of ['redis', 'clickhouse'] as const) {
      const measured: Percentiles[] = [];
      const line = await whileLive(world, pipeline, load, async () => {
        for (let run = 1; run <= runs; run++) measured.push(await load.during(oneRun(world, pipeline, sink, Math.min(mostMarks, rows / 100))));
      });
      const { p50, p99 } = medianPercentiles(measured);
      const { settings: { lingerMs }, sinks } = world.fences(pipeline).pipeline;
      const figures = { [latencyFigures.linger]: lingerMs, [latencyFigures.gather]: gatherOf(sinks, sink), [latencyFigures.asked]: rate, [latencyFigures.p50]: p50, [latencyFigures.p99]: p99 };
      yield { ...line, name: `${sink}, ${asked}`, cpu: null, figures };
    }
  } finally {
    await load.stop();
  }
}

/** What the load was meanwhile, and what it cost. */
async function whileLive(world: World, pipeline: string, load: LoadProcess, work: () => Promise<void>): Promise<Omit<Line, 'name'>> {
  const { client, instance } = world;
  const meter = await Meter.start(instance, client, [sourceNames(pipeline).slot], load.pid);
  resetPeak(world.workerPid);
  const before = await eventsWritten(client);
  const startedAt = performance.now();
  await work();
  await meter.look();
  const events = (await eventsWritten(client)) - before;
  return { ...noFigures, rate: (events * 1000) / (performance.now() - startedAt), cpu: perMillion(meter.used().cpu, events), peakMiB: peakMiB(world.workerPid) };
}

async function oneRun(world: World, pipeline: string, sink: MarkedSink, marks: number): Promise<Percentiles> {
  const { config, signal } = world;
  const each = await Marks.start({ config, pipeline: world.fences(pipeline).pipeline, sink, signal });
  await each.count(marks);
  const { p50, p99, most } = percentiles(await each.finish());
  world.say(`${sink}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, at most ${most.toFixed(1)} ms`);
  return { p50, p99, most };
}

function gatherOf(sinks: Pipeline['sinks'], wanted: MarkedSink): number {
  const kind = wanted === 'redis' ? 'redis-live' : 'clickhouse';
  const sink = Object.values(sinks).find((each) => each.kind === kind)!;
  return 'gatherMs' in sink ? sink.gatherMs : 0;
}
