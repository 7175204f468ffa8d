import { expect, test } from 'vitest';
import { endBackfill } from '../../activities/backfill.ts';
import type { Runtime } from '../../activities/runtime.ts';
import { noteRebuilds } from '../../connectors/postgres/live-rebuilds.ts';
import { inActivity } from '../orchestration/in-activity.ts';
import { Stores } from '../redefine/stood-still.ts';

test('a backfill ends while the destination of a live lane is away: what is due there stays so, for the lane', { timeout: 120_000 }, async () => {
  await using stores = await Stores.open();
  const { runtime } = stores.worker();
  await stores.worker().load();
  const { pipeline } = await runtime.definition('engagement');
  const request = { pipeline: 'engagement', fromMs: 0, toMs: 60_000, views: ['top10m'], sinks: [], chunkRows: 10, rowsPerSecond: null };
  const end = (redisUrl: string) => {
    const reaching: Pick<Runtime, 'config' | 'state' | 'definition'> = { config: { ...runtime.config, redisUrl }, state: runtime.state, definition: (...asked) => runtime.definition(...asked) };
    return inActivity(() => endBackfill(reaching, { request }));
  };
  const due = async () => (await stores.state.query<{ lane: string }>('select lane from sluice.live_rebuild')).rows.map(({ lane }) => lane);
  await stores.state.query('delete from sluice.live_rebuild');
  await noteRebuilds(stores.state, pipeline);
  await end('redis://127.0.0.1:1');
  expect(await due()).toEqual(['live']);
  expect(await runtime.destinations.readFence(pipeline, 'live')).toBeUndefined();
  await end(runtime.config.redisUrl);
  expect(await due()).toEqual([]);
  expect(await runtime.destinations.readFence(pipeline, 'live')).toBeDefined();
});
