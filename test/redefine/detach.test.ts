import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startBootstrap } from '../../client/bootstrap.ts';
import { pausePipeline, pipelineStatuses } from '../../client/pipelines.ts';
import { verifyPipeline } from '../../client/verify.ts';
import type { BootstrapStatus } from '../../core/bootstrap.ts';
import { parseLsn, parsePosition, type Position } from '../../core/position.ts';
import { verificationText } from '../../core/verification.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { until } from '../capture/captured-source.ts';
import { World } from '../lifecycle/world.ts';

/** The smallest that a spool may be, four segments. */
const segmentBytes = 100_000;
const budgetBytes = segmentBytes * 4;

/** The sample with a spool that is soon full, and sinks that may be detached. */
function edited(text: string): string {
  const detaching = text.replace("partitionBy: 'event_ts' }),", "partitionBy: 'event_ts', onBudget: 'detach' }),").replace("hash: ['plays', 'finishes', 'clicks', 'seconds'],", "hash: ['plays', 'finishes', 'clicks', 'seconds'],\n      onBudget: 'detach',");
  return detaching.replace(/\}\);\n$/, `  settings: { segmentBytes: ${segmentBytes}, spoolBudgetBytes: ${budgetBytes}, spoolKeepMs: 0 },\n});\n`);
}

describe("onBudget: 'detach'", { timeout: 240_000 }, () => {
  let world: World;
  let folder: string;

  beforeAll(async () => {
    world = await World.open({ portOffset: 86 });
    folder = await mkdtemp(join(tmpdir(), 'sluice-detach-'));
    for (const part of ['activities', 'api', 'cli', 'client', 'connectors', 'core', 'infra', 'pipelines', 'workers', 'workflows', 'package.json']) await cp(join(checkout, part), join(folder, part), { recursive: true });
    await symlink(join(checkout, 'node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'pipelines/engagement.ts'), edited(await readFile(join(checkout, 'pipelines/engagement.ts'), 'utf8')));
    world.folder = folder;
    await world.source.query(`insert into content select gen_random_uuid(), 'old-' || g, 'Title ' || g, 'video', g, now() from generate_series(1, 20) g`);
    await world.startWorker();
    await until(async () => startBootstrap(world.config, { pipeline: 'engagement', dryRun: true }).then(() => true, () => false), 'the namespace is known', 60_000);
    await applied();
  }, 180_000);

  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function applied(): Promise<BootstrapStatus> {
    const { stdout, stderr } = await world.sluice('apply', 'engagement', '--json');
    const status = JSON.parse(stdout.startsWith('{') ? stdout : `{"error": ${JSON.stringify(`${stdout}${stderr}`)}}`) as BootstrapStatus;
    if (status.state !== 'done') throw new Error(`${status.state}: ${status.error}`);
    return status;
  }

  const write = (rows: number) =>
    world.source.query(
      `insert into engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device, raw_payload)
       select (select id from content order by id offset g % 20 limit 1), gen_random_uuid(), (array['play','finish','click'])[1 + g % 3], now(), g, 'phone', jsonb_build_object('padding', repeat('x', 400), 'g', gen_random_uuid()) from generate_series(1, $1::int) g`,
      [rows],
    );

  const lanes = async () => (await pipelineStatuses(world.config, ['engagement']))[0]!.lanes;
  const spoolBytes = async () => Number((await world.state.query<{ bytes: string }>("select detail ->> 'spoolBytes' as bytes from sluice.progress where pipeline = 'engagement' and part = 'capture'")).rows[0]!.bytes);
  const detached = async () => (await world.state.query<{ lane: string }>('select lane from sluice.detached_lane order by lane')).rows.map(({ lane }) => lane);

  async function expectEqual(): Promise<void> {
    const verification = await verifyPipeline(world.config, 'engagement');
    if (!verification.equal) throw new Error(verificationText(verification));
  }

  test.each([
    ['a table of rows', 'enriched'],
    ['a live structure', 'live'],
  ])('E20: %s that does not get on is left behind at the budget, the others go on, and it joins again', async (_, lane) => {
    await write(50);
    await expectEqual();
    await pausePipeline(world.config, 'engagement', lane);
    // what is left out is changed and deleted too
    await write(200);
    await world.source.query("update engagement_events set duration_ms = 7 where id % 5 = 0; delete from engagement_events where id % 11 = 0");
    // once what was written is seen there, more: or the source would have much that waits
    let seen = 0;
    await until(async () => {
      const bytes = await spoolBytes();
      if (bytes !== seen && bytes < budgetBytes) await write(200);
      seen = bytes;
      return (await detached()).length > 0;
    }, 'the spool is full, and the lane detached', 100_000);
    expect(await detached()).toEqual([lane]);
    const fence = async () => (await world.state.query<{ position: Position }>("select position from sluice.fence where pipeline = 'engagement' and lane = 'external'")).rows[0]!.position;
    // all that the source has kept meanwhile: or one that joins finds the spool as full as it was
    const { rows: [source] } = await world.source.query<{ lsn: string }>('select pg_current_wal_lsn() as lsn');
    await write(1);
    await until(async () => parsePosition(await fence()).lsn > parseLsn(source!.lsn), 'the others go on', 120_000);
    expect((await world.sluice('status')).stdout).toMatch(new RegExp(`Lane ${lane} was detached at 20.*: what came since is not there any more\\. When its destination is well, type \\./sluice apply engagement`));
    // what it may not miss is trimmed
    await until(async () => (await spoolBytes()) < budgetBytes, 'the spool has room again', 40_000);
    await world.sluice('resume', 'engagement', '--lane', lane);
    await until(async () => (await lanes()).find(({ name }) => name === lane)!.state === 'parked', 'it says that it was detached');
    expect((await lanes()).find(({ name }) => name === lane)!.error).toContain('./sluice apply engagement, which fills it from the source and joins it again');
    const { said } = await applied();
    expect(said.find((line) => line.startsWith(`lane ${lane} was detached: `))).toBeDefined();
    expect(await detached()).toEqual([]);
    expect((await lanes()).map(({ state }) => state)).toEqual(['running', 'running', 'running', 'running', 'running']);
    await write(50);
    await expectEqual();
  });
});
