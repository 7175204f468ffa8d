import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { isAlive } from '../../infra/supervisor/identity.ts';
import { readInstance } from '../../infra/supervisor/instance.ts';
import { restart } from '../../infra/supervisor/restart.ts';
import { handSession } from './hand-session.ts';
import { throwAwayDatabase, type ThrowAway } from '../embedded/services.ts';

const portBase = inject('portBase') + 40;
const dataDir = join(checkout, '.sluice', 'test', String(portBase));

/** The product as its users run it: every command by its script, on an instance of its own, against a source with history. */
describe('the main job', { timeout: 240_000 }, () => {
  let sourceDatabase: ThrowAway;
  let source: Client;

  beforeAll(async () => {
    await rm(dataDir, { recursive: true, force: true });
    sourceDatabase = await throwAwayDatabase();
    source = new Client({ connectionString: sourceDatabase.url });
    await source.connect();
    await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    await writeHistory(source);
  });

  afterAll(async () => {
    await sluice('down');
    await source?.end();
    await sourceDatabase?.[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Runs `./sluice` on the test's instance and answers with how it ended; never throws. */
  function sluice(...args: string[]): Promise<{ code: number; output: string }> {
    return new Promise((resolve) => {
      execFile(join(checkout, 'sluice'), [...args, '--data', dataDir], { env: { ...process.env, SLUICE_SOURCE_URL: sourceDatabase.url }, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, output: stdout + stderr });
      });
    });
  }

  async function expectVerified(): Promise<void> {
    for (const name of ['trending', 'engagement']) {
      const { code, output } = await sluice('verify', name);
      if (code !== 0) throw new Error(`verify ${name} ended with ${code}:\n${output}`);
    }
  }

  /** What one would look at if something stands still. */
  async function picture(): Promise<string> {
    const log = await readFile(join(dataDir, 'logs', 'worker.log'), 'utf8').catch(() => '');
    return `${(await sluice('status', '--json')).output}\n${log.split('\n').slice(-20).join('\n')}`;
  }

  function load(pipeline: string, rate: number, seconds: number): Promise<{ code: number; output: string }> {
    return sluice('load', '--pipeline', pipeline, '--rate', String(rate), '--updates', '5%', '--deletes', '2%', '--late', '3%', '--duration', `${seconds}s`);
  }

  async function workerPid(): Promise<number> {
    for (;;) {
      const worker = readInstance(dataDir)?.processes.find(({ name }) => name === 'worker');
      if (worker && isAlive(worker)) return worker.pid;
      await sleep(50);
    }
  }

  type Lane = { name: string; fence: string; state: string };
  async function lanes(): Promise<Lane[]> {
    const { output } = await sluice('status', '--json');
    const { pipelines } = JSON.parse(output) as { pipelines: { name: string; lanes: Lane[] }[] };
    return pipelines.find(({ name }) => name === 'engagement')!.lanes;
  }

  test('E28: starts on tables that hold rows, and everything is equal while load goes on', async () => {
    const { code, output } = await sluice('up', '--detach', '--port-base', String(portBase), '--rate', '50');
    expect({ code, output }).toMatchObject({ code: 0 });
    await expectVerified();
  });

  test('updates, deletes, late rows and a session of SQL by hand end in the right numbers', async () => {
    const loads = [load('engagement', 1500, 15), load('trending', 500, 15)];
    await handSession(source);
    await Promise.all(loads);
    await expectVerified();
  });

  test('I9: pause takes under 2 s, and what came meanwhile is there after resume', async () => {
    const startedAt = performance.now();
    const paused = await sluice('pause', 'engagement');
    const tookMs = Number(/after ([\d.]+) s/.exec(paused.output)?.[1] ?? (performance.now() - startedAt) / 1000) * 1000;
    expect(paused).toMatchObject({ code: 0 });
    expect(tookMs).toBeLessThan(2_000);
    await source.query(`insert into engagement_events (content_id, event_type, event_ts, duration_ms)
      select (select id from content order by id offset g % 50 limit 1), 'play', now(), g from generate_series(1, 10000) g`);
    expect(await sluice('resume', 'engagement')).toMatchObject({ code: 0 });
    await expectVerified();
  });

  test('I1, I2: kill -9 of the worker under load loses nothing and doubles nothing; fences move again within 20 s', async () => {
    const loading = load('engagement', 2000, 45);
    for (let kill = 0; kill < 3; kill++) {
      await sleep(3_000 + kill * 700);
      const pid = await workerPid();
      const before = new Map((await lanes()).map(({ name, fence }) => [name, fence]));
      process.kill(pid, 'SIGKILL');
      const killedAt = performance.now();
      // what was applied between the look and the kill does not count as moved again
      for (const { name, fence } of await lanes()) before.set(name, fence);
      const segmentLanes = ['aggregate', 'enriched', 'live', 'external'];
      const standing = async () => (await lanes()).filter(({ name, fence }) => segmentLanes.includes(name) && !(fence > before.get(name)!));
      await expect.poll(standing, { timeout: 25_000, interval: 200 }).toEqual([]).catch(async (error: unknown) => {
        throw new Error(await picture(), { cause: error });
      });
      expect(performance.now() - killedAt).toBeLessThan(20_000);
    }
    await loading;
    await expectVerified();
  });

  test('a slot that was dropped, with 10,000 changes in the gap, is recovered by one command, which names the gap', async () => {
    await source.query("select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = 'sluice_engagement'");
    await expect.poll(() => source.query("select pg_drop_replication_slot('sluice_engagement')").then(() => 'dropped', (error: Error) => error.message), { timeout: 20_000, interval: 1 }).toBe('dropped');
    await source.query("insert into engagement_events (content_id, event_type, event_ts, duration_ms) select (select id from content order by id limit 1), 'play', now() - g * interval '1 second', g from generate_series(1, 6000) g");
    await source.query("update engagement_events set event_type = 'finish' where id in (select id from engagement_events order by id limit 2000); delete from engagement_events where id in (select id from engagement_events order by id desc limit 2000)");
    await expect.poll(async () => (await sluice('status')).output, { timeout: 30_000, interval: 500 }).toContain('./sluice recover engagement');
    const { code, output } = await sluice('recover', 'engagement', '--yes');
    expect({ code, output }).toMatchObject({ code: 0 });
    expect(output).toMatch(/The gap begins behind position [0-9a-f]{32} \(WAL position .*, committed 20/);
    await expectVerified();
  });

  test.each([
    [['verify', 'nothing'], /no pipeline nothing.*engagement/s],
    [['pause', 'nothing'], /no pipeline nothing.*engagement/s],
    [['pause', 'engagement', '--lane', 'nothing'], /nothing.*enriched/s],
    [['load', '--pipeline', 'nothing'], /nothing/],
    [['load', '--pipeline', 'engagement', '--updates', 'many'], /updates/],
    [['fly'], /fly/],
  ])('bad input is refused with a sentence: %j', async (args, sentence) => {
    const { code, output } = await sluice(...args);
    expect(code).not.toBe(0);
    expect(output).toMatch(sentence);
    expect(output).not.toMatch(/^\s+at /m);
  });

  test('a second up says so and changes nothing', async () => {
    const before = readInstance(dataDir);
    const { code, output } = await sluice('up', '--detach', '--port-base', String(portBase + 10));
    expect(code).toBe(1);
    expect(output).toMatch(/already running/);
    expect(readInstance(dataDir)).toEqual(before);
  });

  test('a worker and an API that have read older files start anew, and nothing else does', async () => {
    const pids = () => Object.fromEntries(readInstance(dataDir)!.processes.map(({ name, pid }) => [name, pid]));
    const { worker, api, ...others } = pids();
    await restart(dataDir, ['worker', 'api'], () => {});
    const after = pids();
    expect(after).toMatchObject(others);
    expect(after['worker']).not.toBe(worker);
    expect(after['api']).not.toBe(api);
    expect(await sluice('apply', 'trending')).toMatchObject({ code: 0, output: expect.stringContaining('settings and addresses were taken over') as string });
    await expectVerified();
  });

  test('down leaves no process', async () => {
    const { processes, supervisor } = readInstance(dataDir)!;
    expect(processes.length).toBeGreaterThan(5);
    expect(await sluice('down')).toMatchObject({ code: 0 });
    for (const each of [...processes, supervisor]) expect(isAlive(each)).toBe(false);
  });
});

/** Two days of rows from before the pipelines. */
async function writeHistory(source: Client): Promise<void> {
  await source.query(`insert into content select gen_random_uuid(), 'old-' || g, 'Title ' || g, (array['podcast','newsletter','video'])[1 + g % 3], nullif(g % 9, 0) * 60, now() from generate_series(1, 100) g`);
  await source.query(`insert into engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device, raw_payload)
    select (select id from content where slug = 'old-' || (1 + g % 100)), gen_random_uuid(), (array['play','pause','finish','click'])[1 + g % 4], now() - (g * 17 % 172800) * interval '1 second', nullif(g % 8, 0) * 1000, 'phone', jsonb_build_object('g', g)
    from generate_series(1, 20000) g`);
  await source.query(`insert into posts (title) select 'Post ' || g from generate_series(1, 40) g`);
  await source.query(`insert into post_views (post_id, viewed_at) select 1 + g % 40, now() - (g % 3600) * interval '1 second' from generate_series(1, 10000) g`);
}
