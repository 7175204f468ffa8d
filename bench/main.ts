import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import { pausePipeline, pipelines, resumePipeline } from '../client/pipelines.ts';
import { BadInput } from '../core/bad-input.ts';
import { checkout } from '../infra/supervisor/checkout.ts';
import { checkExactness } from './exactness.ts';
import { Fences } from './fences.ts';
import { type BenchInstance, startProduct } from './instance.ts';
import { type Latency, measureLatency } from './latency.ts';
import { EngagementWorkload } from './load/engagement.ts';
import { peakMiB } from './processes.ts';
import { describe, makeReport } from './report.ts';
import { measureRound, type Round } from './round.ts';

/** `./sluice bench`: the pipeline engagement on an instance of its own, which is removed at the end. */
const name = 'engagement';
const latencyRate = 3_333;
const latencyRuns = 3;
const latencyMarks = 1_000;

const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stopped.abort(new Error('Stopped before the end; what was started is stopped and removed.')));
}

try {
  await main();
} catch (error) {
  const reason: unknown = stopped.signal.aborted ? stopped.signal.reason : error;
  console.error(process.env['SLUICE_LOG_LEVEL'] === 'debug' || !(reason instanceof Error) ? reason : reason.message);
  process.exitCode = reason instanceof BadInput ? 2 : 1;
}
process.exit();

async function main(): Promise<void> {
  const options = parseOptions();
  const say = (line: string) => console.error(line);
  const minutes = 20 + (options.rounds * options.rows) / 1_000_000;
  setTimeout(() => stopped.abort(new Error(`The benchmark was not done after ${Math.round(minutes)} minutes and was given up. Is something else busy on this machine?`)), minutes * 60_000).unref();
  warnIfBusy(say);
  const instance = await startProduct({ dataDir: join(checkout, '.sluice', 'bench', String(options.portBase)), portBase: options.portBase, report: say, signal: stopped.signal }, name);
  try {
    const report = await measure(instance, options, say);
    console.log(options.json ? JSON.stringify(report, undefined, 2) : `\n${describe(report)}`);
    if (!report.exact) process.exitCode = 1;
  } finally {
    await instance.stop();
  }
}

async function measure(instance: BenchInstance, options: Options, say: (line: string) => void) {
  const { config } = instance;
  const { signal } = stopped;
  const client = new Client({ connectionString: config.sourceUrl, application_name: 'sluice bench' });
  const fences = Fences.open(config, pipelines[name]!);
  try {
    await client.connect();
    const workload = new EngagementWorkload(1);
    await workload.prepare(client);
    const rounds: Round[] = [];
    for (let number = 1; number <= options.rounds; number++) {
      const round = await measureRound({ instance, fences, client, workload, rows: options.rows, signal });
      rounds.push(round);
      const lanes = Object.entries(round.lanes).map(([lane, seconds]) => `${lane} ${seconds.toFixed(1)} s`).join(', ');
      const cpu = Object.entries(round.cpu).map(([process, seconds]) => `${process} ${seconds.toFixed(1)}`).join(', ');
      say(`round ${number}: received ${Math.round(round.receive).toLocaleString('en')}/s, pipeline ${Math.round(round.pipeline).toLocaleString('en')}/s, ratio ${round.ratio.toFixed(2)} (${lanes}; CPU seconds: ${cpu})`);
    }
    if (options.profile) await measureRound({ instance, fences, client, workload, rows: options.rows, signal, profile: options.profile });
    const latency: Latency[] = options.latency ? await measureLatency({ config, pipeline: fences.pipeline, marks: latencyMarks, runs: latencyRuns, rate: latencyRate, signal, say }) : [];
    const peakRssMiB = peakMiB(instance.pidOf('worker')!);

    // what was written last is one event more, so that there is a place to wait for
    await resumePipeline(config, name);
    await fences.passedNow(client, workload, signal);
    await pausePipeline(config, name);
    const checks = await checkExactness(config, fences.pipeline);
    return makeReport({ rounds, rows: options.rows, peakRssMiB, latency, checks });
  } finally {
    await Promise.allSettled([client.end(), fences.close()]);
  }
}

type Options = { readonly json: boolean; readonly rounds: number; readonly rows: number; readonly portBase: number; readonly latency: boolean; readonly profile: string | undefined };

function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '5' },
      rows: { type: 'string', default: '1000000' },
      'port-base': { type: 'string', default: '7600' },
      latency: { type: 'boolean', default: true },
      'cpu-prof': { type: 'string' },
    },
    allowNegative: true,
  });
  return {
    json: values.json,
    latency: values.latency,
    profile: values['cpu-prof'],
    rounds: whole('--rounds', values.rounds, 1, 100),
    rows: whole('--rows', values.rows, 1_000, 100_000_000),
    portBase: whole('--port-base', values['port-base'], 1_024, 65_000),
  };
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = Number(text.replaceAll(/[_,]/g, ''));
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new BadInput(`${option} ${text} is not a whole number from ${least} to ${most}. For example: ./sluice bench --rounds 5 --rows 1000000`);
}

function warnIfBusy(say: (line: string) => void): void {
  const [load] = loadavg();
  if (load! > 0.5 * availableParallelism()) say(`This machine is busy (load ${load!.toFixed(1)} on ${availableParallelism()} processors): rates will be too low; CPU seconds and the ratio are steadier.`);
}
