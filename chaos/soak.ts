import { setTimeout as sleep } from 'node:timers/promises';
import { residentMiB } from '../bench/processes.ts';
import { verifyPipeline } from '../client/verify.ts';
import { verificationText, type Verification } from '../core/verification.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import { withPlace } from './report.ts';
import { inWorld, type Inside, program } from './in-world.ts';
import { type Lag, LaneLag } from './lane-lag.ts';
import { Load } from './load.ts';
import { WorkerMemory } from './memory.ts';
import { amount, flags, portBases } from './options.ts';
import { growth, type Sample } from './steady.ts';
import type { World } from './world.ts';

/** `./sluice soak`: steady load for long, and nothing may grow: memory, spool, slot, histories. */
type Options = { readonly minutes: number; readonly rate: number; readonly rotateAt: number; readonly json: boolean; readonly portBase: number };

/** A run of the pipeline's workflow; `events`: the length of its history. */
type WorkflowRun = { readonly runId: string; readonly events: number; readonly ended: boolean };

type SoakReport = Options & {
  readonly runs: readonly WorkflowRun[];
  readonly samples: readonly Sample[];
  readonly memory: ReturnType<typeof growth>;
  readonly spool: ReturnType<typeof growth>;
  readonly workerPeakMiB: number;
  readonly mostSlotLagMiB: number;
  readonly lag: Readonly<Record<string, Lag>>;
  readonly verification: Verification;
  /** What is not as it should be. */
  readonly wrong: readonly string[];
};

const pipeline = 'engagement';
const lookMs = 5_000;
const mostGrowth = 1.15;
const mostMiB = 512;
/** Where Temporal suggests a fresh run by itself. */
const suggestedAt = 4_096;

await program(async (stopped) => {
  const options = parse(process.argv.slice(2));
  return inWorld({ portBase: options.portBase, pipeline, rotateAtEvents: options.rotateAt, ownSpoolDisk: false, imports: ['chaos/short-spool.ts'] }, stopped, async (inside) => {
    const report = await soak(inside, options);
    return { ok: report.wrong.length === 0, print: (kept) => (options.json ? JSON.stringify({ ...report, kept }, undefined, 2) : withPlace(text(report), kept)) };
  });
});

async function soak({ world, say, signal }: Inside, options: Options): Promise<SoakReport> {
  const load = new Load(world, { rate: options.rate, updates: '3%', deletes: '1%', late: '2%', transactionSeed: undefined });
  const memory = new WorkerMemory(world.processes);
  const samples: Sample[] = [];
  const startedAt = performance.now();
  await load.start();
  const lag = new LaneLag(world);
  try {
    for (let next = lookMs; next <= options.minutes * 60_000; next += lookMs) {
      await sleep(Math.max(0, startedAt + next - performance.now()), undefined, { signal });
      samples.push(await look(world, startedAt));
      if (samples.length % 12 === 0) say(sampleText(samples.at(-1)!, await runsOf(world)));
    }
    const lags = lag.between(startedAt + 30_000, performance.now() - 10_000);
    await load.stop();
    await world.quiet(signal);
    const runs = await runsOf(world);
    memory.look();
    const { peakMiB, count } = memory;
    say('comparing');
    const verification = await verifyPipeline(world.config, pipeline);
    const report = {
      ...options, runs, samples, lag: lags, verification, workerPeakMiB: peakMiB,
      memory: growth(samples, ({ workerMiB }) => workerMiB),
      spool: growth(samples, ({ spoolMiB }) => spoolMiB),
      mostSlotLagMiB: Math.max(...samples.map(({ slotLagMiB }) => slotLagMiB)),
    };
    return { ...report, wrong: [...whatIsWrong(report), ...(count === 1 ? [] : [`the worker was started ${count} times`])] };
  } finally {
    memory.stop();
    await lag.stop().catch(() => {});
    await load.stop();
  }
}

async function look(world: World, startedAt: number): Promise<Sample> {
  const { spoolBytes, slotLagBytes } = await world.status();
  const mebibytes = (bytes: number | null) => (bytes ?? Number.NaN) / 2 ** 20;
  return { atSeconds: (performance.now() - startedAt) / 1000, workerMiB: residentMiB(world.processes.pid('worker')), spoolMiB: mebibytes(spoolBytes), slotLagMiB: mebibytes(slotLagBytes) };
}

/** The oldest first. */
function runsOf(world: World): Promise<WorkflowRun[]> {
  return world.temporal(async (client) => {
    const workflowId = pipelineWorkflowId(pipeline);
    const ids: { runId: string; startedMs: number }[] = [];
    for await (const { runId, startTime } of client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) ids.push({ runId, startedMs: startTime.getTime() });
    ids.sort((a, b) => a.startedMs - b.startedMs);
    return Promise.all(
      ids.map(async ({ runId }) => {
        const { historyLength, status } = await client.workflow.getHandle(workflowId, runId).describe();
        return { runId, events: historyLength, ended: status.name !== 'RUNNING' };
      }),
    );
  });
}

function whatIsWrong({ runs, rotateAt, minutes, memory, spool, workerPeakMiB, verification }: Omit<SoakReport, 'wrong'>): string[] {
  const most = Math.max(...runs.map(({ events }) => events));
  const limit = Math.min(rotateAt * 1.5, 5_000);
  // at least so many come in a minute, with six lanes and steps of ten seconds
  const expected = Math.floor((minutes * 130) / Math.min(rotateAt, suggestedAt));
  return [
    // what was not measured (NaN) is not as it should be either
    ...(most > limit ? [`a run has ${most} events of history, more than ${limit}`] : []),
    ...(runs.length - 1 < expected ? [`there were ${runs.length - 1} rotations, fewer than ${expected}`] : []),
    ...(!(memory.ratio <= mostGrowth) ? [`the worker grew from ${memory.early.toFixed(0)} to ${memory.late.toFixed(0)} MiB`] : []),
    ...(workerPeakMiB > mostMiB ? [`the worker had ${workerPeakMiB.toFixed(0)} MiB`] : []),
    ...(!(spool.ratio <= mostGrowth) ? [`the spool grew from ${spool.early.toFixed(0)} to ${spool.late.toFixed(0)} MiB`] : []),
    ...(verification.equal ? [] : ['the sinks are not equal']),
  ];
}

function sampleText({ atSeconds, workerMiB, spoolMiB, slotLagMiB }: Sample, runs: readonly WorkflowRun[]): string {
  return `${(atSeconds / 60).toFixed(0)} min: worker ${workerMiB.toFixed(0)} MiB, spool ${spoolMiB.toFixed(1)} MiB, slot ${slotLagMiB.toFixed(1)} MiB, histories ${runs.map(({ events }) => events).join(' ')}`;
}

function text(report: SoakReport): string {
  const { runs, memory, spool, lag } = report;
  return [
    '',
    verificationText(report.verification),
    '',
    `${report.minutes} minutes at ${report.rate} events/s`,
    `${runs.length - 1} rotations; events of history in each run: ${runs.map(({ events, ended }) => `${events}${ended ? '' : ' (running)'}`).join(', ')}`,
    `worker ${memory.early.toFixed(0)} MiB early, ${memory.late.toFixed(0)} MiB late, ${report.workerPeakMiB.toFixed(0)} MiB at most`,
    `spool ${spool.early.toFixed(1)} MiB early, ${spool.late.toFixed(1)} MiB late; slot ${report.mostSlotLagMiB.toFixed(1)} MiB at most`,
    ...Object.entries(lag).map(([lane, { p50, p99, most }]) => `${lane.padEnd(12)} behind by ${p50.toFixed(0)} ms (p50), ${p99.toFixed(0)} ms (p99), ${most.toFixed(0)} ms (most)`),
    report.wrong.length === 0 ? 'as it should be' : `NOT as it should be: ${report.wrong.join('; ')}`,
  ].join('\n');
}

function parse(args: readonly string[]): Options {
  const values = flags('soak', args, {
    minutes: { type: 'string', default: '30' },
    rate: { type: 'string', default: '3333' },
    'rotate-at': { type: 'string', default: '1500' },
    json: { type: 'boolean', default: false },
    'port-base': { type: 'string', default: '7700' },
  });
  return {
    minutes: amount('--minutes', values.minutes, { least: 1, most: 24 * 60, example: '30', command: 'soak', whole: false }),
    rate: amount('--rate', values.rate, { least: 1, most: 100_000, example: '3333', command: 'soak' }),
    rotateAt: amount('--rotate-at', values['rotate-at'], { least: 100, most: 10_000, example: '1500', command: 'soak' }),
    json: values.json,
    portBase: amount('--port-base', values['port-base'], { ...portBases, command: 'soak' }),
  };
}
