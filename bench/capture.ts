import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import { capture } from '../connectors/postgres/capture.ts';
import { connectSource } from '../connectors/postgres/postgres-source.ts';
import { noRecord } from '../connectors/postgres/column-watch.ts';
import { ensurePublication, quoteRelation, readSourceCatalog, sourceNames } from '../connectors/postgres/source-catalog.ts';
import { openSegmentLog } from '../connectors/spool/open-segment-log.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { DimensionStore } from '../core/capture/dimension-store.ts';
import { resolve } from '../core/define/resolve.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { position } from '../core/position.ts';
import { checkout } from '../infra/supervisor/checkout.ts';
import definition from '../pipelines/engagement.ts';
import { receiveBare } from './bare.ts';
import { fill } from './fill.ts';
import { startSource } from './instance.ts';
import { EngagementWorkload } from './load/engagement.ts';
import { cpuSecondsOfTree } from './processes.ts';
import { selfTimesText } from './flame.ts';
import { profiled } from './profile.ts';
import { receiveByTool } from './recvlogical.ts';
import { dropSlot, freshSlot, writeMarker } from './slots.ts';

/**
 * The capture alone, from the slot into a spool directory, beside bare receiving of the same changes:
 *   node bench/capture.ts [--rows 1000000] [--rounds 2] [--cpu-prof FILE] [--settings '{"segmentRows":20000}']
 */
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '2' },
    'port-base': { type: 'string', default: '7600' },
    'cpu-prof': { type: 'string' },
    settings: { type: 'string', default: '{}' },
  },
});
const rows = Number(values.rows);
const dataDir = join(checkout, '.sluice', 'bench', 'capture');
const resolved = resolve(definition, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1/', SLUICE_EXTERNAL_SECRET: 'whsec_AAAA' });
const pipeline: Pipeline = { ...resolved, settings: { ...resolved.settings, ...(JSON.parse(values.settings) as object) } };
const { slot, publication } = sourceNames(pipeline.name);
const bareSlot = 'sluice_bench_bare';

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort(new Error('stopped')));
const source = await startSource({ dataDir, portBase: Number(values['port-base']), report: () => {}, signal: stop.signal });
const url = source.config.sourceUrl;
const client = new Client({ connectionString: url });
try {
  await client.connect();
  await ensurePublication(client, pipeline);
  const workload = new EngagementWorkload(1);
  await workload.prepare(client);
  const total = Number(values.rounds) + (values['cpu-prof'] ? 1 : 0);
  for (let round = 1; round <= total; round++) await runRound(round, workload);
} finally {
  await client.end().catch(() => {});
  await source.stop();
}

async function runRound(round: number, workload: EngagementWorkload): Promise<void> {
  const from = await freshSlot(client, slot);
  await freshSlot(client, bareSlot);
  const writing = await measured(async () => void (await fill(client, workload, rows, stop.signal)));
  const end = await writeMarker(client, 'bench');
  print(`round ${round}: write`, writing);

  const toolSlot = 'sluice_bench_tool';
  await client.query('select pg_copy_logical_replication_slot($1, $2)', [bareSlot, toolSlot]);
  const bare = await measured(async () => {
    const received = await receiveBare({ url, slot: bareSlot, publication, from, marker: 'bench' });
    if (received.rows !== rows) throw new Error(`bare receiving got ${received.rows} of ${rows} rows`);
  });
  print('  bare', bare);
  await dropSlot(client, bareSlot);
  const tool = await measured(async () => void (await receiveByTool({ url, slot: toolSlot, publication, end })));
  print('  pg_recvlogical', tool);
  await dropSlot(client, toolSlot);

  const directory = join(dataDir, 'spool', String(round));
  const file = values['cpu-prof'];
  if (file && round === 1 + Number(values.rounds)) {
    const { times } = await profiled(file, () => captureAll(directory, from));
    console.log(selfTimesText(times));
  } else {
    const captured = await measured(() => captureAll(directory, from));
    print('  capture', captured);
    console.log(`  ratio ${(bare.seconds / captured.seconds).toFixed(2)}`);
  }
  await rm(directory, { recursive: true });
}

/** Until every row is durable in the spool. */
async function captureAll(directory: string, from: bigint): Promise<void> {
  const finished = new AbortController();
  const start = position(1, from, 0);
  const result = await capture({
    pipeline,
    log: await openSegmentLog({ directory, shard: pipeline.name }),
    connect: () => connectSource(url, pipeline, undefined),
    clock: systemClock,
    captureId: crypto.randomUUID(),
    shard: { epoch: 1, systemIdentifier: (await readSourceCatalog(client, pipeline)).systemIdentifier },
    readConfirmed: async () => undefined,
    recordConfirmed: async () => {},
    start,
    after: undefined,
    reached: start,
    dimensionsAt: () => dimensionsNow(pipeline),
    fences: () => new Map([['none', start]]),
    signal: AbortSignal.any([finished.signal, stop.signal]),
    columns: noRecord,
    onProgress: ({ events }) => events >= rows && finished.abort(),
  });
  if (result.events !== rows) throw new Error(`the capture got ${result.events} of ${rows} events`);
}

async function dimensionsNow({ source: { dimensions } }: Pipeline): Promise<Map<string, DimensionStore>> {
  const stores = new Map<string, DimensionStore>();
  for (const [name, table] of Object.entries(dimensions)) {
    const store = new DimensionStore(table);
    const columns = Object.keys(table.columns);
    const found = await client.query<Record<string, string | null>>(`select ${columns.map((column) => `${column}::text`).join(', ')} from ${quoteRelation(table.relation)}`);
    for (const row of found.rows) store.putValues(row[table.key]!, (column) => row[column]!);
    stores.set(name, store);
  }
  return stores;
}

type Measured = { readonly seconds: number; readonly node: number; readonly postgres: number };

async function measured(work: () => Promise<void>): Promise<Measured> {
  const node = process.cpuUsage();
  const postgres = cpuSecondsOfTree(source.pidOf('postgres')!);
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const used = process.cpuUsage(node);
  return { seconds, node: (used.user + used.system) / 1e6, postgres: cpuSecondsOfTree(source.pidOf('postgres')!) - postgres };
}

function print(what: string, { seconds, node, postgres }: Measured): void {
  const per = 1e6 / rows;
  console.log(`${what.padEnd(18)} ${Math.round(rows / seconds).toLocaleString('en').padStart(9)}/s   ${seconds.toFixed(2)} s   CPU s per 1M: node ${(node * per).toFixed(2)}, postgres ${(postgres * per).toFixed(2)}`);
}
