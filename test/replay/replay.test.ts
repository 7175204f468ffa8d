import { globSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import { workflowBundle } from '../../workers/workflow-bundle.ts';

Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { forward: {}, filter: { core: 'OFF' as never, other: 'ERROR' } } } });

const root = join(import.meta.dirname, 'histories');
const files = globSync('*/*.json', { cwd: root }).sort();
const historyOf = (file: string) => JSON.parse(readFileSync(join(root, file), 'utf8')) as { events: { activityTaskScheduledEventAttributes?: Scheduled }[] };

type Scheduled = { activityId: string; activityType: { name: string }; heartbeatTimeout: string; startToCloseTimeout: string; retryPolicy: { initialInterval: string; maximumInterval: string; maximumAttempts?: number } };

describe('I10: the workflows can go on from the histories of every release', () => {
  let bundle: { codePath: string };
  beforeAll(async () => void (bundle = await workflowBundle(join(tmpdir(), 'sluice-test-workflows'))));

  test('there are some', () => {
    expect(files.length).toBeGreaterThanOrEqual(5);
  });

  test.each(files)('%s', async (file) => {
    await Worker.runReplayHistory({ workflowBundle: bundle }, historyOf(file), 'pipeline/replayed');
  });

  test('E22, E23: every step that was recorded beats, is tried again soon and for ever, and may last as long as its step and a minute', () => {
    const lanes = new Set(['capture', 'aggregate', 'clickhouse', 'redisLive', 'http', 'redisResults', 'postgresResults', 'redis-live', 'redis-results', 'postgres-results']);
    const steps = files.flatMap((file) => historyOf(file).events).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => (scheduled && lanes.has(scheduled.activityType.name) ? [scheduled] : []));
    expect(steps.length).toBeGreaterThan(20);
    for (const { heartbeatTimeout, startToCloseTimeout, retryPolicy } of steps) {
      expect(Number.parseFloat(heartbeatTimeout)).toBe(5);
      expect(Number.parseFloat(startToCloseTimeout)).toBeGreaterThan(60);
      expect(Number.parseFloat(retryPolicy.initialInterval)).toBe(0.1);
      expect(Number.parseFloat(retryPolicy.maximumInterval)).toBe(5);
      expect(retryPolicy.maximumAttempts ?? 0).toBe(0);
    }
  });

  test('a history that these workflows cannot have made is refused', async () => {
    const history = historyOf('0.1.0/pause-and-lanes.json');
    for (const event of history.events) {
      const scheduled = event.activityTaskScheduledEventAttributes;
      if (scheduled?.activityId === 'describe') scheduled.activityId = 'something else';
    }
    await expect(Worker.runReplayHistory({ workflowBundle: bundle }, history, 'pipeline/replayed')).rejects.toThrow(/[Nn]ondeterminism|activity id/i);
  });
});
