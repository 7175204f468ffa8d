import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import type { Config } from '../core/config.ts';
import { toEnvironment } from '../core/config.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { checkout } from '../infra/supervisor/checkout.ts';

/** Milliseconds from COMMIT's return at the client to the first poll that saw the row. */
export type Latency = { readonly lingerMs: number; readonly sink: 'redis' | 'clickhouse'; readonly p50: number; readonly p99: number };

export type LatencyOptions = {
  readonly config: Config;
  readonly pipeline: Pipeline;
  readonly marks: number;
  readonly runs: number;
  readonly rate: number;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
};

/** With the load generator running at the rate; for each sink the run with the least p99. */
export async function measureLatency(options: LatencyOptions): Promise<Latency[]> {
  const load = await startLoad(options.config, options.rate);
  try {
    const measured: Latency[] = [];
    for (const sink of ['redis', 'clickhouse'] as const) {
      const runs: Latency[] = [];
      for (let run = 1; run <= options.runs; run++) {
        const latency = await load.during(oneRun(options, sink));
        options.say(`latency to ${sink}, run ${run}: p50 ${latency.p50.toFixed(1)} ms, p99 ${latency.p99.toFixed(1)} ms`);
        runs.push(latency);
      }
      measured.push(runs.reduce((best, run) => (run.p99 < best.p99 ? run : best)));
    }
    return measured;
  } finally {
    await load.stop();
  }
}

async function oneRun({ config, pipeline, marks, signal }: LatencyOptions, sink: 'redis' | 'clickhouse'): Promise<Latency> {
  const client = new Client({ connectionString: config.sourceUrl, application_name: 'sluice bench' });
  await client.connect();
  // content of its own: each marked row raises its score by one, so the score tells which row was seen
  const content = crypto.randomUUID();
  await client.query("insert into public.content (id, slug, title, content_type, publish_ts) values ($1, $2, 'Marked rows', 'video', now())", [content, `marked-${content}`]);
  const poll = sink === 'redis' ? pollRedis(config, pipeline, content) : pollClickhouse(config, pipeline, content);
  const committed: number[] = [];
  const seen: number[] = [];
  try {
    const watching = (async () => {
      while (seen.length < marks) {
        const count = await poll.count();
        const now = performance.now();
        while (seen.length < count) seen.push(now);
        await wait(pollMs, undefined, { signal });
        if (committed.length === marks && now - committed.at(-1)! > 30_000) throw new Error(`Only ${seen.length} of ${marks} marked rows came to ${sink} within 30 s.`);
      }
    })();
    watching.catch(() => {});
    for (let mark = 0; mark < marks; mark++) {
      await client.query("insert into public.engagement_events (content_id, event_type, event_ts, duration_ms, device) values ($1, 'play', now(), 1000, 'marked')", [content]);
      committed.push(performance.now());
      await wait(spacingMs + (mark % 7), undefined, { signal }); // not in step with the linger
    }
    await watching;
  } finally {
    await poll.close();
    await client.end();
  }
  const milliseconds = committed.map((at, index) => Math.max(0, seen[index]! - at)).sort((a, b) => a - b);
  const at = (part: number) => milliseconds[Math.min(milliseconds.length - 1, Math.floor(milliseconds.length * part))]!;
  return { lingerMs: pipeline.settings.lingerMs, sink, p50: at(0.5), p99: at(0.99) };
}

type Poll = { count(): Promise<number>; close(): Promise<void> };

function pollRedis(config: Config, pipeline: Pipeline, content: string): Poll {
  const redis = new Redis(config.redisUrl);
  const live = Object.values(pipeline.sinks).find((sink) => sink.kind === 'redis-live')!;
  return {
    count: async () => Number((await redis.zscore(live.key, content)) ?? 0),
    close: async () => redis.disconnect(),
  };
}

function pollClickhouse(config: Config, pipeline: Pipeline, content: string): Poll {
  const clickhouse = createClient({ url: config.clickhouseUrl });
  const { table } = Object.values(pipeline.sinks).find((sink) => sink.kind === 'clickhouse')!;
  const since = Math.floor(Date.now() / 1000) - 5;
  return {
    count: async () => {
      const result = await clickhouse.query({
        query: `SELECT uniqExact(id) AS count FROM ${table} WHERE event_ts >= toDateTime64(${since}, 6) AND content_id = {content:UUID}`,
        query_params: { content },
        format: 'JSONEachRow',
      });
      return Number((await result.json<{ count: string }>())[0]!.count);
    },
    close: () => clickhouse.close(),
  };
}

/** The load as a process of its own, so that what polls has its own processor. */
async function startLoad(config: Config, rate: number): Promise<{ during<T>(work: Promise<T>): Promise<T>; stop(): Promise<void> }> {
  const args = ['--disable-warning=ExperimentalWarning', join(checkout, 'bench/load/main.ts'), '--pipeline', 'engagement', '--rate', String(rate)];
  const child = spawn(process.execPath, args, { env: { ...process.env, ...toEnvironment(config) }, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2_000)));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), ended]);
  const failed = () => new Error(`The load generator ended: ${said.trim()}`);
  if (child.exitCode !== null) throw failed();
  return {
    during: (work) => Promise.race([work, ended.then((): never => { throw failed(); })]),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

const pollMs = 5;
const spacingMs = 12;
