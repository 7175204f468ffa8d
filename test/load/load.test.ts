import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngagementWorkload } from '../../bench/load/engagement.ts';
import { type LoadResult, rateOf, runLoad } from '../../bench/load/run.ts';
import { TrendingWorkload } from '../../bench/load/trending.ts';
import type { Workload } from '../../bench/load/workload.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { type ThrowAway, throwAwayDatabase } from '../embedded/services.ts';

describe('the load generator', () => {
  let database: ThrowAway;
  let client: Client;

  beforeAll(async () => {
    database = await throwAwayDatabase();
    client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query(await readFile(join(checkout, 'infra/demo/source.sql'), 'utf8'));
  });

  afterAll(async () => {
    await client?.end();
    await database?.[Symbol.asyncDispose]();
  });

  function run(workload: Workload, load: { rate?: number; burst?: number; updates?: number; deletes?: number; late?: number; durationMs?: number }, options: { signal?: AbortSignal; onReport?: (result: LoadResult) => void } = {}) {
    return runLoad({
      url: database.url,
      workload,
      load: { rate: 0, burst: 0, updates: 0, deletes: 0, late: 0, durationMs: undefined, ...load },
      signal: options.signal ?? new AbortController().signal,
      reportMs: 500,
      onReport: options.onReport ?? (() => {}),
    });
  }

  async function ask(query: string): Promise<number[]> {
    const { rows } = await client.query<(string | number | null)[]>({ text: query, rowMode: 'array' });
    return rows[0]!.map(Number);
  }

  test('reaches its rate, and its percentages are those of the tables', async () => {
    const reports: LoadResult[] = [];
    const result = await run(new EngagementWorkload(1), { rate: 2_000, updates: 0.05, deletes: 0.02, late: 0.1, durationMs: 3_000 }, { onReport: (report) => reports.push(report) });
    expect(rateOf(result)).toBeGreaterThan(1_900);
    expect(rateOf(result)).toBeLessThan(2_020);
    const events = result.inserts + result.updates + result.deletes;
    expect(result.updates / events).toBeCloseTo(0.05, 2);
    expect(result.deletes / events).toBeCloseTo(0.02, 2);
    expect(result.late / result.inserts).toBeCloseTo(0.1, 2);
    expect(reports.length).toBeGreaterThanOrEqual(4);

    const [rows, late, ahead] = await ask(`select count(*), count(*) filter (where event_ts < now() - interval '89 seconds'), count(*) filter (where event_ts > now()) from engagement_events`);
    expect(rows).toBe(result.inserts - result.deletes);
    expect(late! / rows!).toBeCloseTo(0.1, 1);
    expect(ahead).toBe(0);
    const [oldest] = await ask('select extract(epoch from now() - min(event_ts)) from engagement_events');
    expect(oldest).toBeLessThan(640);
    const [contents, most] = await ask('select count(distinct content_id), max(count(*)) over () from engagement_events group by content_id order by 2 desc limit 1');
    expect(contents).toBe(1);
    expect(most! / rows!).toBeGreaterThan(0.05);
    const [bytes, kinds, devices] = await ask('select avg(length(raw_payload::text)), count(distinct event_type), count(distinct device) from engagement_events');
    expect(bytes).toBeGreaterThan(80);
    expect(bytes).toBeLessThan(130);
    expect([kinds, devices! > 5]).toEqual([4, true]);
  });

  test('writes a burst of exactly so many events, also of the blog', async () => {
    const result = await run(new TrendingWorkload(1), { burst: 5_500, updates: 0.1 });
    expect(result.inserts + result.updates).toBe(5_500);
    expect(await ask('select count(*) from post_views')).toEqual([result.inserts]);
    expect(await ask('select count(*), count(*) filter (where title is not null) from posts')).toEqual([200, 200]);
  });

  test('keeps the content that is there, and makes again what somebody removed', async () => {
    const before = await ask('select count(*), count(distinct title) from content');
    expect(before[0]).toBe(1_000);
    const stop = new AbortController();
    let reports = 0;
    const removed = Promise.withResolvers<void>();
    const running = run(new EngagementWorkload(1), { rate: 500 }, {
      signal: stop.signal,
      onReport: ({ inserts }) => {
        reports += 1;
        if (reports === 1) void client.query('truncate content cascade').then(() => removed.resolve(), removed.reject);
        if (reports > 3 && inserts > 0) stop.abort();
      },
    });
    await removed.promise;
    await running;
    expect(await ask('select count(*) from content')).toEqual([1_000]);
    expect((await ask('select count(*) from engagement_events'))[0]).toBeGreaterThan(100);
  });

  test('stops at once', async () => {
    const stop = new AbortController();
    const [before] = await ask('select count(*) from post_views');
    // after the burst the next event is ten seconds away
    const running = run(new TrendingWorkload(1), { rate: 0.1, burst: 1 }, { signal: stop.signal });
    while ((await ask('select count(*) from post_views'))[0] === before) {}
    const stoppedAt = performance.now();
    stop.abort();
    await running;
    expect(performance.now() - stoppedAt).toBeLessThan(5_000);
  });

  test.each([
    ['an unreachable server', () => 'postgres://nobody:x@127.0.0.1:1/none', /PostgreSQL at 127\.0\.0\.1:1\/none cannot be reached: .*ECONNREFUSED.*sluice status/],
    ['a wrong password', () => Object.assign(new URL(database.url), { password: 'wrong' }).href, /cannot be reached: password authentication failed/],
    ['a database without the tables', () => Object.assign(new URL(database.url), { pathname: '/postgres' }).href, /tables of the sample pipelines are not in .*infra\/demo\/source\.sql/],
  ])('%s is a sentence and an exit code', async (_, url, sentence) => {
    const { code, errors } = await program(['--pipeline', 'trending', '--rate', '10'], url());
    expect(errors).toMatch(sentence);
    expect(code).toBe(1);
  });

  test('a connection that breaks ends it with a sentence; SIGTERM ends it with its summary', async () => {
    const broken = program(['--pipeline', 'trending', '--rate', '50'], database.url, () => client.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sluice load' and datname = current_database()"));
    expect(await broken).toMatchObject({ code: 1, errors: expect.stringMatching(/Writing to PostgreSQL at .* failed: /) as unknown });
    const stopped = await program(['--rate', '50'], database.url, (child) => child.kill('SIGTERM'));
    expect(stopped.code).toBe(0);
    expect(stopped.output).toMatch(/engagement .*\/s \(.*: all in .*asked for 50\/s/);
    expect(stopped.output).toMatch(/trending .*\/s \(.*: all in /);
  });

  /** Runs the program; `onWriting` is called once rows of it have come. */
  async function program(flags: string[], url: string, onWriting?: (child: ReturnType<typeof spawn>) => unknown) {
    const [before] = await ask('select count(*) from post_views');
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(checkout, 'bench/load/main.ts'), ...flags], { env: { ...process.env, SLUICE_SOURCE_URL: url } });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    if (onWriting) {
      while ((await ask('select count(*) from post_views'))[0] === before && child.exitCode === null) {}
      await onWriting(child);
    }
    return { code: await ended, output, errors };
  }
});
