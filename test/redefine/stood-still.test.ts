import { describe, expect, test } from 'vitest';
import type { Pipeline } from '../../core/pipeline.ts';
import { until } from '../capture/captured-source.ts';
import { Stores, type Worker } from './stood-still.ts';

/** A view that takes rows out by a column which no other view looks at. */
function withDevices(pipeline: Pipeline): Pipeline {
  const { leaderboard } = pipeline.views;
  return { ...pipeline, views: { ...pipeline.views, devices: { ...leaderboard!, key: 'device', labels: {} } } };
}

/** A worker's own canaries keep the aggregate lane a little behind. */
async function becomes(worker: Worker): Promise<number> {
  const number = await worker.begin();
  const isTaken = async () => worker.takeOver(number, 'become').then(() => true, (error: { type?: string }) => {
    if (error.type !== 'Behind') throw error;
    return false;
  });
  await until(isTaken, 'the pipeline is the other one');
  return number;
}

describe('a definition changes beside a worker that stood still, or that Temporal does not hear of', { timeout: 120_000 }, () => {
  test('E3, E25: a capture of before that goes on appends nothing that the new views would have to take away', async () => {
    await using stores = await Stores.open();
    const [deaf, other] = [stores.worker(), stores.worker(withDevices)];
    await deaf.load();
    const before = [deaf.capture(), deaf.lane('aggregate')];
    await stores.write(20);
    await until(async () => (await stores.state.query('select from sluice.panes_engagement_top10m')).rowCount! > 0, 'it streams');
    await becomes(other);
    await stores.source.query("update engagement_events set duration_ms = 5; insert into engagement_events (event_type, event_ts, device) values ('play', now(), 'the last')");
    const since = [other.capture(), other.lane('aggregate')];
    const isFolded = until(async () => (await stores.state.query("select from sluice.panes_engagement_devices where key = 'the last'")).rowCount === 1, 'what came since is folded');
    await Promise.race([isFolded, ...since]);
    await stores.end();
    expect((await before[0]!).ended).toBe('superseded');
    expect((await Promise.all(since)).map(({ ended }) => ended)).toEqual(['asked', 'asked']);
  });
});
