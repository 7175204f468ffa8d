import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { fill } from '../bench/fill.ts';
import { EngagementWorkload } from '../bench/load/engagement.ts';
import { pausePipeline, resumePipeline } from '../client/pipelines.ts';
import { verifyPipeline } from '../client/verify.ts';
import { parsePosition } from '../core/position.ts';
import { BadInput } from '../core/bad-input.ts';
import { verificationText, type Verification } from '../core/verification.ts';
import { type Destination, destinations } from './destinations.ts';
import { withPlace } from './report.ts';
import { inWorld, type Inside, program } from './in-world.ts';
import { type Lag, LaneLag } from './lane-lag.ts';
import { Load } from './load.ts';
import { WorkerMemory } from './memory.ts';
import { amount, flags, portBases } from './options.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

/** `./sluice outage`: one destination is away for long under load. What do the others feel, and how fast is it back? */
type Options = { readonly sink: Destination['name']; readonly minutes: number; readonly rate: number; readonly json: boolean; readonly portBase: number };

type OutageReport = Options & {
  /** Lanes of the other destinations, in the two minutes before it and while it is away. */
  readonly before: Readonly<Record<string, Lag>>;
  readonly during: Readonly<Record<string, Lag>>;
  readonly sick: string;
  /** Events per second when all lanes catch up after a pause: of the sick lane. */
  readonly fullSpeed: number;
  /** Events that it had missed, and the seconds from the destination's first answer until it had them; the first of them until its fence moved. */
  readonly missed: number;
  readonly caughtUpSeconds: number;
  readonly movedSeconds: number;
  readonly catchUpSpeed: number;
  readonly workerPeakMiB: number;
  readonly spoolMiB: number;
  readonly slotLagMiB: number;
  readonly verification: Verification;
  readonly wrong: readonly string[];
};

const pipeline = 'engagement';
/** The state database is in the source's server. */
const stoppable = destinations.flatMap(({ process, ...destination }) => (process ? [{ ...destination, process }] : []));
const beforeMs = 120_000;
const warmMs = 20_000;
const backlogRows = 1_000_000;
const mostLagRatio = 2;
const leastSpeedRatio = 0.5;
const mostMiB = 512;

await program(async (stopped) => {
  const options = parse(process.argv.slice(2));
  return inWorld({ portBase: options.portBase, pipeline, ownSpoolDisk: false }, stopped, async (inside) => {
    const report = await outage(inside, options);
    return { ok: report.wrong.length === 0, print: (kept) => (options.json ? JSON.stringify({ ...report, kept }, undefined, 2) : withPlace(text(report), kept)) };
  });
});

async function outage(inside: Inside, options: Options): Promise<OutageReport> {
  const { world, say, signal } = inside;
  const { process, away, ...destination } = stoppable.find(({ name }) => name === options.sink)!;
  const sick = destination.lane(world)!;
  const memory = new WorkerMemory(world.processes);
  const fullSpeed = await catchUp(inside, sick);
  say(`lane ${sick} catches up after a pause with ${Math.round(fullSpeed).toLocaleString('en')} events/s`);
  const load = new Load(world, { rate: options.rate, updates: '0%', deletes: '0%', late: '0%', transactionSeed: undefined });
  await load.start();
  const lag = new LaneLag(world);
  try {
    await sleep(warmMs, undefined, { signal });
    const beganAt = performance.now();
    await sleep(beforeMs, undefined, { signal });
    const goneAt = performance.now();
    const had = await lastId(world);
    await world.processes.stop(process);
    say(`${options.sink} is away, and lane ${sick} says: ${await world.untilFailing(sick, away, signal)}`);
    await sleep(Math.max(0, goneAt + options.minutes * 60_000 - performance.now()), undefined, { signal });
    const backAt = performance.now();
    const [before, during] = [lag.between(beganAt, goneAt), lag.between(goneAt, backAt - 1_000)];
    const { spoolBytes, slotLagBytes } = await world.status();
    await world.processes.start(process, signal);
    const answeredAt = performance.now();
    const missed = (await lastId(world)) - had;
    const end = await world.walEnd();
    const stood = await world.fences.of(sick);
    let movedSeconds: number | undefined;
    const reached = async () => {
      const fence = await world.fences.of(sick);
      if (fence === undefined) return false;
      if (fence !== stood) movedSeconds ??= (performance.now() - answeredAt) / 1000;
      return parsePosition(fence).lsn >= end;
    };
    await until(`lane ${sick} to have what it missed`, reached, { timeoutMs: 600_000, everyMs: 50, signal });
    const caughtUpSeconds = (performance.now() - answeredAt) / 1000;
    say(`${missed.toLocaleString('en')} events after ${caughtUpSeconds.toFixed(1)} s; comparing`);
    await lag.stop();
    await load.stop();
    await world.quiet(signal);
    const verification = await verifyPipeline(world.config, pipeline);
    memory.look();
    const others = (lags: Readonly<Record<string, Lag>>) => Object.fromEntries(Object.entries(lags).filter(([lane]) => lane !== sick));
    const report = {
      ...options, sick, fullSpeed, missed, caughtUpSeconds, verification,
      before: others(before),
      during: others(during),
      movedSeconds: movedSeconds ?? caughtUpSeconds,
      catchUpSpeed: missed / caughtUpSeconds,
      workerPeakMiB: memory.peakMiB,
      spoolMiB: (spoolBytes ?? Number.NaN) / 2 ** 20,
      slotLagMiB: (slotLagBytes ?? Number.NaN) / 2 ** 20,
    };
    return { ...report, wrong: whatIsWrong(report) };
  } finally {
    memory.stop();
    await lag.stop().catch(() => {});
    await load.stop();
  }
}

/** How fast the lane is when everybody catches up, as in the benchmark: events per second from `resume` on. */
async function catchUp({ world, signal }: Inside, lane: string): Promise<number> {
  const client = new Client({ connectionString: world.config.sourceUrl, application_name: 'sluice chaos' });
  await client.connect();
  try {
    const workload = new EngagementWorkload(1);
    await workload.prepare(client);
    await pausePipeline(world.config, pipeline);
    const last = await fill(client, workload, backlogRows, signal);
    const [seconds] = await Promise.all([world.fences.passed(last, { timeoutMs: 300_000, signal, onLook: async () => {} }), resumePipeline(world.config, pipeline)]);
    return backlogRows / seconds[lane]!;
  } finally {
    await client.end();
  }
}

/** Only inserts come in, so ids count events. */
async function lastId(world: World): Promise<number> {
  const { rows } = await world.source.query<{ id: string }>('select max(id)::text as id from public.engagement_events');
  return Number(rows[0]!.id);
}

function whatIsWrong({ before, during, sick, fullSpeed, catchUpSpeed, workerPeakMiB, verification }: Omit<OutageReport, 'wrong'>): string[] {
  const slower = Object.keys(before).filter((lane) => !(during[lane]!.p99 <= mostLagRatio * before[lane]!.p99));
  return [
    ...slower.map((lane) => `lane ${lane} was behind by ${during[lane]!.p99.toFixed(0)} ms (p99), more than twice ${before[lane]!.p99.toFixed(0)} ms`),
    ...(catchUpSpeed < leastSpeedRatio * fullSpeed ? [`lane ${sick} caught up with ${Math.round(catchUpSpeed)} events/s, less than half of ${Math.round(fullSpeed)}`] : []),
    ...(workerPeakMiB > mostMiB ? [`the worker had ${workerPeakMiB.toFixed(0)} MiB`] : []),
    ...(verification.equal ? [] : ['the sinks are not equal']),
  ];
}

function text(report: OutageReport): string {
  const whole = (value: number) => Math.round(value).toLocaleString('en');
  return [
    '',
    verificationText(report.verification),
    '',
    `${report.sink} away for ${report.minutes} minutes at ${report.rate} events/s; the others behind by (p50, p99, most, in ms):`,
    ...Object.entries(report.before).map(([lane, before]) => {
      const during = report.during[lane]!;
      const figures = ({ p50, p99, most }: Lag) => [p50, p99, most].map(whole).join(', ');
      return `  ${lane.padEnd(12)} before ${figures(before)}   meanwhile ${figures(during)}   ratio of p99 ${(during.p99 / before.p99).toFixed(2)}`;
    }),
    `lane ${report.sick} moved ${report.movedSeconds.toFixed(1)} s after the first answer and had the ${whole(report.missed)} events after ${report.caughtUpSeconds.toFixed(1)} s: ${whole(report.catchUpSpeed)} events/s, ${(report.catchUpSpeed / report.fullSpeed).toFixed(2)} of its full speed (${whole(report.fullSpeed)})`,
    `worker at most ${whole(report.workerPeakMiB)} MiB; in the end the spool had ${whole(report.spoolMiB)} MiB, and the source kept ${whole(report.slotLagMiB)} MiB`,
    report.wrong.length === 0 ? 'as it should be' : `NOT as it should be: ${report.wrong.join('; ')}`,
  ].join('\n');
}

function parse(args: readonly string[]): Options {
  const values = flags('outage', args, {
    sink: { type: 'string', default: 'clickhouse' },
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '3333' },
    json: { type: 'boolean', default: false },
    'port-base': { type: 'string', default: '7700' },
  });
  return {
    sink: sinkNamed(values.sink),
    minutes: amount('--minutes', values.minutes, { least: 0.5, most: 24 * 60, example: '10', command: 'outage', whole: false }),
    rate: amount('--rate', values.rate, { least: 1, most: 100_000, example: '3333', command: 'outage' }),
    json: values.json,
    portBase: amount('--port-base', values['port-base'], { ...portBases, command: 'outage' }),
  };
}

function sinkNamed(given: string): Options['sink'] {
  const found = stoppable.find(({ name }) => name === given);
  if (found) return found.name;
  throw new BadInput(`--sink ${given} is not one of ${stoppable.map(({ name }) => name).join(', ')}. For example: ./sluice outage --sink clickhouse`);
}
