import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startBootstrap } from '../../client/bootstrap.ts';
import { ensurePipelines, pipelineStatuses } from '../../client/pipelines.ts';
import { verifyPipeline } from '../../client/verify.ts';
import type { BootstrapStatus } from '../../core/bootstrap.ts';
import { verificationText } from '../../core/verification.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { until } from '../capture/captured-source.ts';
import { World } from '../lifecycle/world.ts';

const original = await readFile(join(checkout, 'pipelines/engagement.ts'), 'utf8');

/** What is added to the sample's definition, by part. */
type Added = { readonly views?: string; readonly sinks?: string; readonly edit?: (text: string) => string };

/** The sample as somebody edits it. */
function edited({ views = '', sinks = '', edit = (text) => text }: Added): string {
  const imports = original.replace('import {\n  bigint,', 'import {\n  avg,\n  bigint,\n  count,\n  eq,\n  max,\n  results,\n  tumbling,');
  return edit(imports.replace('      leaderboard: hopping(', `${views}\n      leaderboard: hopping(`).replace('  sinks: {\n', `  sinks: {\n${sinks}\n`));
}

/** The sample pipeline by a worker whose pipelines/ is changed, while its source is written to. */
describe('a definition that changes in place', { timeout: 240_000 }, () => {
  let world: World;
  let folder: string;
  const end = new AbortController();
  let writing: Promise<void>;

  beforeAll(async () => {
    world = await World.open({ portOffset: 85 });
    folder = await mkdtemp(join(tmpdir(), 'sluice-redefine-'));
    for (const part of ['activities', 'api', 'cli', 'client', 'connectors', 'core', 'infra', 'pipelines', 'workers', 'workflows', 'package.json']) await cp(join(checkout, part), join(folder, part), { recursive: true });
    await symlink(join(checkout, 'node_modules'), join(folder, 'node_modules'));
    world.folder = folder;
    await world.source.query(`insert into content select gen_random_uuid(), 'old-' || g, 'Title ' || g, 'video', g, now() from generate_series(1, 20) g`);
    await write(2_000, 7_200);
    // set aside as of the future: views that come later are to have them, too
    await world.source.query(`insert into engagement_events (content_id, event_type, event_ts, duration_ms, device)
      select (select id from content order by id limit 1), 'play', ts::timestamptz, 1, 'phone' from unnest(array['2150-01-01 00:00+00', '9999-12-31 23:59:59.999999+00', '12000-02-29 12:00+00']) ts`);
    await world.startWorker();
    await until(async () => startBootstrap(world.config, { pipeline: 'engagement', dryRun: true }).then(() => true, () => false), 'the namespace is known', 60_000);
    await apply();
    writing = writeOn();
  }, 180_000);

  afterAll(async () => {
    end.abort();
    await writing?.catch(() => {});
    await world?.[Symbol.asyncDispose]();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function write(count: number, seconds: number): Promise<void> {
    await world.source.query(
      `insert into engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device)
       select (select id from content order by id offset g % 20 limit 1), gen_random_uuid(), (array['play','pause','finish','click'])[1 + g % 4], now() - (g * 17 % $2::int) * interval '1 second', g, (array['phone', 'tv', null])[1 + g % 3] from generate_series(1, $1::int) g`,
      [count, seconds],
    );
  }

  /** Inserts of now, and a few that come too late; updates that move rows to another time or key; deletes. */
  async function writeOn(): Promise<void> {
    for (let turn = 0; !end.signal.aborted; turn++) {
      await write(10, turn % 20 === 0 ? 3_000 : 5);
      await world.source.query("update engagement_events set duration_ms = duration_ms + 1, device = 'watch', event_ts = event_ts - interval '3 s' where id in (select id from engagement_events order by id desc offset 40 limit 3)");
      await world.source.query('delete from engagement_events where id in (select id from engagement_events order by id desc offset 100 limit 2)');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** The worker that runs reads what pipelines/ has from now on. */
  async function define(added: Added, kill?: NodeJS.Signals): Promise<void> {
    await writeFile(join(folder, 'pipelines/engagement.ts'), edited(added));
    if (kill) await world.workerEnded(kill);
    await world.restartWorker();
  }

  async function apply(...more: string[]): Promise<BootstrapStatus> {
    const { stdout, stderr } = await world.sluice('apply', 'engagement', '--json', ...more);
    if (!stdout.startsWith('{')) throw new Error(`${stdout}${stderr}`);
    return JSON.parse(stdout) as BootstrapStatus;
  }

  async function applied(...more: string[]): Promise<BootstrapStatus> {
    const status = await apply(...more);
    if (status.state !== 'done') throw new Error(`${status.state}: ${status.error}\n${(await world.sluice('status')).stdout}`);
    return status;
  }

  async function expectEqual(sinks: readonly string[]): Promise<void> {
    const verification = await verifyPipeline(world.config, 'engagement');
    if (!verification.equal) throw new Error(verificationText(verification));
    expect([...new Set(verification.checks.map(({ sink }) => sink))]).toEqual(expect.arrayContaining([...sinks]));
  }

  const lanes = async () => (await pipelineStatuses(world.config, ['engagement']))[0]!.lanes.map(({ name, state }) => `${name} ${state}`);
  const epoch = async () => (await world.state.query<{ epoch: string }>("select epoch from sluice.shard where pipeline = 'engagement'")).rows[0]!.epoch;
  const count = async (sql: string) => Number((await world.state.query<{ n: string }>(`select count(*) as n from ${sql}`)).rows[0]!.n);

  const copy = "    copy: clickhouse({ table: 'engagement_copy', orderBy: ['event_ts', 'id'], partitionBy: 'event_ts' }),";
  const board = "    board: results({ view: 'leaderboard', table: 'board' }),";
  const mini = "    mini: redis({ view: 'top10m', key: 'mini', hash: ['plays'] }),";
  const devices = "      devices: tumbling('10s', { key: events.device, measures: { seen: count(), duration: avg(events.duration_ms) }, rankBy: 'seen', top: 5 }),";
  const users = "      seen: hopping('30s', { every: '10s', key: events.content_id, measures: { seen: count(), longest: max(events.duration_ms) }, rankBy: 'seen', top: 5 }),";
  const relays = "    devices: results({ view: 'devices', table: 'devices' }),\n    seen: results({ view: 'seen', table: 'seen' }),";

  test('what was edited and not applied changes nothing: the stream goes on as it was, and status says so', async () => {
    await define({ sinks: copy, edit: (text) => text.replace('external: http(', 'outside: http(') });
    expect((await world.sluice('apply', 'engagement', '--dry-run')).stdout).toContain('Nothing was changed.');
    const { stdout, code } = await world.sluice('apply', 'engagement');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^engagement can be changed in place, and something would be lost:\n {2}sink copy is new: .*\n {2}sink outside is new: .*\n {2}LOSES: sink external ends: /);
    await ensurePipelines(world.config, ['engagement']);
    expect((await world.sluice('status')).stdout).toContain('pipelines/ has another definition than what runs: ./sluice apply engagement shows what would change, and does it');
    // its address is kept nowhere
    await until(async () => (await lanes()).includes('external parked'), 'the lane without an address says so');
    expect((await lanes()).filter((lane) => !lane.startsWith('external '))).toEqual(['aggregate running', 'enriched running', 'live running', 'leaderboard running']);
    await define({});
    await ensurePipelines(world.config, ['engagement']);
    expect((await world.sluice('status')).stdout).not.toContain('another definition');
    await expectEqual(['enriched', 'live', 'leaderboard', 'external']);
  });

  test('E20: sinks are added, and begin with what the source has', async () => {
    await define({ sinks: [copy, board, mini].join('\n') });
    const { said } = await applied();
    expect(said).toContain('redefinition 1 is complete');
    expect(await lanes()).toEqual(expect.arrayContaining(['copy running', 'board running', 'mini running', 'enriched running']));
    expect(await epoch()).toBe('1');
    await expectEqual(['enriched', 'live', 'leaderboard', 'external', 'copy', 'board', 'mini']);
    expect((await applied()).said).not.toContain('redefinition 2 is complete');
  });

  test('E18: views are added, which are filled for as long as panes are kept, while the others go on', async () => {
    // set aside by the panes that there are, as it is beyond maxFuture
    await world.source.query("insert into engagement_events (content_id, event_type, event_ts, duration_ms, device) select id, 'play', now() + interval '1 day', 5, 'tv' from content limit 1");
    const before = await count("sluice.published_window where pipeline = 'engagement' and view = 'leaderboard' and revision > 0");
    await define({ sinks: [copy, board, mini, relays].join('\n'), views: [devices, users].join('\n') });
    await applied();
    await expectEqual(['copy', 'board', 'devices', 'seen']);
    expect(await count('results.devices')).toBeGreaterThan(100);
    expect(await count("sluice.published_window where pipeline = 'engagement' and view = 'devices' and final")).toBeGreaterThan(100);
    // nothing of before was said again for it; late changes are
    expect((await count("sluice.published_window where pipeline = 'engagement' and view = 'leaderboard' and revision > 0")) - before).toBeLessThan(200);
  });

  test('how many ranks, and the filter of a view: the one is said again, the other computed anew', async () => {
    const edit = (text: string) => text.replace("rankBy: 'seen', top: 5 }),", "rankBy: 'seen', top: 2, where: eq(events.event_type, 'play') }),").replace('top: 10,\n        labels', 'top: 3,\n        labels');
    await define({ sinks: [copy, board, mini, relays].join('\n'), views: [devices, users].join('\n'), edit });
    expect((await apply()).error).toContain('LOSES: view devices becomes another');
    await applied('--allow');
    await expectEqual(['board', 'devices', 'seen']);
    expect(await count('results.board where rank > 3')).toBe(0);
    expect(await count('results.devices')).toBeGreaterThan(100);
  });

  test('a worker that dies at any of the steps, and is another one afterwards, costs nothing', async () => {
    const more = "      minutes: tumbling('1m', { key: events.user_id, measures: { seen: count() }, top: 5 }),";
    const rows = "    again: clickhouse({ table: 'engagement_again', orderBy: ['event_ts', 'id'], partitionBy: 'event_ts' }),\n    minutes: results({ view: 'minutes', table: 'minutes' }),";
    await define({ sinks: [copy, board, mini, relays, rows].join('\n'), views: [devices, users, more].join('\n') });
    const points = ['redefine/taking-over', 'backfill/chunk', 'load/chunk', 'redefine/lanes-filled', 'redefine/taken-over'] as const;
    await world.killOrders.arm(points[0]);
    const done = apply('--allow');
    for (const next of [...points.slice(1), undefined]) {
      await world.killOrders.struck(new AbortController().signal);
      await world.workerEnded();
      if (next) await world.killOrders.arm(next);
      await world.startWorker();
    }
    expect((await done).state).toBe('done');
    await expectEqual(['board', 'devices', 'again', 'minutes']);
  });

  test('sinks and views are removed where that is allowed, and those that shared their panes go on', async () => {
    const edit = (text: string) => text.replace(/      top10m: rolling\(.*?\n      \}\),\n/s, '').replace(/    live: redis\(\{.*?\}\),\n/s, '');
    await define({ sinks: board, edit });
    expect(await apply()).toMatchObject({ state: 'failed', error: expect.stringContaining('LOSES: view top10m ends') as string });
    await applied('--allow', '--keep-results');
    await expectEqual(['enriched', 'leaderboard', 'external', 'board']);
    expect(await lanes()).toEqual(['aggregate running', 'board running', 'enriched running', 'leaderboard running', 'external running']);
    expect(await world.found('engagement')).toMatchObject({ clickhouse: ['engagement_again', 'engagement_copy', 'engagement_enriched'], results: ['board', 'devices', 'minutes', 'seen'] });
    // and back again, to what was kept, which has missed some
    await define({ sinks: [copy, board, mini].join('\n') });
    await applied();
    await expectEqual(['enriched', 'live', 'leaderboard', 'external', 'board', 'copy', 'mini']);
    await define({ sinks: board });
    await applied('--allow');
    expect(await world.found('engagement')).toMatchObject({ clickhouse: ['engagement_again', 'engagement_enriched'] });
    expect((await world.redis.keys('*mini*')).length).toBe(0);
    await expectEqual(['enriched', 'live', 'leaderboard', 'external', 'board']);
  });

  test('what cannot be changed in place is refused, and what to do is said', async () => {
    await define({ sinks: board, edit: (text) => text.replace('    title: content.title,\n', '') });
    const { code, stdout } = await world.sluice('apply', 'engagement');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^What engagement is defined as is not what was loaded:\n {2}columns\.title is gone\nThat cannot be changed in place\. \.\/sluice apply engagement --allow drops/);
    await expectEqual(['enriched', 'board']);
    expect(await epoch()).toBe('1');
  });

  test('destroyed, nothing is left of what was added', async () => {
    await define({ sinks: board });
    end.abort();
    await writing;
    expect((await world.sluice('destroy', 'engagement', '--yes')).code).toBe(0);
    expect(await world.found('engagement')).toMatchObject({ slots: [], publications: [], state: [], spool: [] });
  });
});
