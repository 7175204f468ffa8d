import type { Client } from 'pg';
import { pausePipeline, resumePipeline } from '../client/pipelines.ts';
import { sourceNames } from '../connectors/postgres/source-catalog.ts';
import { receiveBare } from './bare.ts';
import { type CpuByProcess, CpuMeter } from './cpu.ts';
import type { Fences } from './fences.ts';
import { fill } from './fill.ts';
import type { BenchInstance } from './instance.ts';
import type { Workload } from './load/workload.ts';
import { describeTimes, profiledProcess } from './profile.ts';
import { receiveByTool } from './recvlogical.ts';
import { dropSlot, freshSlot, writeMarker } from './slots.ts';

/** Events per second; `ratio` is pipeline / receive, `toolRatio` receive / pg_recvlogical. */
export type Round = {
  readonly receive: number;
  readonly pipeline: number;
  readonly ratio: number;
  readonly tool: number | undefined;
  readonly toolRatio: number | undefined;
  readonly cpu: CpuByProcess;
  /** Seconds until each lane had everything. */
  readonly lanes: Readonly<Record<string, number>>;
};

export type RoundOptions = {
  readonly instance: BenchInstance;
  readonly fences: Fences;
  readonly client: Client;
  readonly workload: Workload;
  readonly rows: number;
  readonly signal: AbortSignal;
  /** Where a CPU profile of the worker's catching up is written. Profiling costs: such a round is no measurement. */
  readonly profile?: string | undefined;
};

const bareSlot = 'sluice_bench_bare';
const toolSlot = 'sluice_bench_tool';
const marker = 'sluice bench';
/** A thirtieth of what is aimed at. */
const slowestPerSecond = 5_000;

/** The same changes, received alone while the pipeline is paused, and then caught up through all of its sinks. */
export async function measureRound({ instance, fences, client, workload, rows, signal, profile }: RoundOptions): Promise<Round> {
  const { config } = instance;
  const { name } = fences.pipeline;
  const { slot, publication } = sourceNames(name);
  await pausePipeline(config, name);
  const from = await freshSlot(client, bareSlot);
  const last = await fill(client, workload, rows, signal);
  const end = await writeMarker(client, marker);
  await client.query('select pg_copy_logical_replication_slot($1, $2)', [bareSlot, toolSlot]);

  const bare = await receiveBare({ url: config.sourceUrl, slot: bareSlot, publication, from, marker });
  if (bare.rows !== rows) throw new Error(`Bare receiving got ${bare.rows} of ${rows} rows: somebody else writes to this source.`);
  const toolSeconds = await receiveByTool({ url: config.sourceUrl, slot: toolSlot, publication, end });
  await dropSlot(client, bareSlot);
  await dropSlot(client, toolSlot);

  signal.throwIfAborted();
  const cpu = new CpuMeter(instance);
  const startedAt = performance.now();
  let lanes: Round['lanes'] = {};
  const catchUp = async () => {
    const resuming = resumePipeline(config, name);
    lanes = await fences.passed(last, { timeoutMs: 60_000 + (rows * 1000) / slowestPerSecond, signal, onLook: () => cpu.watch(client, slot) });
    await resuming;
  };
  if (profile === undefined) await catchUp();
  else console.error(describeTimes(await profiledProcess(instance.pidOf('worker')!, profile, catchUp)));
  const seconds = (performance.now() - startedAt) / 1000;
  const used = cpu.used();

  const receive = rows / bare.seconds;
  const pipeline = rows / seconds;
  const tool = toolSeconds === undefined ? undefined : rows / toolSeconds;
  return { receive, pipeline, ratio: pipeline / receive, tool, toolRatio: tool && receive / tool, cpu: used, lanes };
}
