import { expect, test } from 'vitest';
import type { Clock } from '../core/clock.ts';
import { resolve } from '../core/define/resolve.ts';
import { position, type Position } from '../core/position.ts';
import definition from '../pipelines/trending.ts';
import { runBackfill, type BackfillLoop, type Snapshot } from './backfill-loop.ts';

const minute = 60_000;
const at = (lsn: number): Position => position(1, BigInt(lsn), 0);

/** Whoever waits moves the time. */
function virtualClock(): Clock {
  let ms = 0;
  return {
    now: () => ms,
    steady: () => ms,
    after: (more, then) => {
      ms += more;
      queueMicrotask(then);
      return () => {};
    },
    every: () => () => {},
  };
}

/** Each piece of ten minutes has 1,000 rows, which take no time. */
class TenMinutes implements Snapshot {
  readonly base = at(100);
  readonly lengthMs = 10 * minute;
  readonly isEven = true;
  readonly lost = Promise.withResolvers<never>().promise;
  isClosed = false;
  rows = 0;

  async *read(): ReturnType<Snapshot['read']> {
    this.rows += 1_000;
  }
  async close(): Promise<void> {
    this.isClosed = true;
  }
}

function stage(fence: () => Position) {
  const [phases, snapshots]: [string[], TenMinutes[]] = [[], []];
  let doneToMs = 0;
  const clock = virtualClock();
  const asked = { fromMs: 0, toMs: 30 * minute };
  const run = (more: Partial<BackfillLoop> = {}) =>
    runBackfill({
      pipeline: resolve(definition, {}),
      name: 'a backfill',
      views: ['trending'],
      rows: new Map(),
      asked,
      chunkRows: 1_000,
      rowsPerSecond: undefined,
      panes: {
        readFence: async () => fence(),
        markRebuild: async () => ({ ...asked, fromMs: doneToMs }),
        replacePanes: async (_, { range: { toMs } }) => {
          doneToMs = toMs;
          return 'done';
        },
      },
      durationMs: 5 * minute,
      take: async () => snapshots[snapshots.push(new TenMinutes()) - 1]!,
      clock,
      signal: new AbortController().signal,
      onProgress: ({ phase }) => void (phases.at(-1) !== phase && phases.push(phase)),
      ...more,
    });
  return { run, phases, snapshots, clock };
}

test('while it keeps to a speed it says that it rests, not that it reads', async () => {
  const { run, phases } = stage(() => at(100));
  expect(await run({ rowsPerSecond: 100 })).toEqual({ rows: 3_000, isDone: true });
  const [reading, resting] = ['reading', 'resting, to read no more than 100 rows a second'];
  expect(phases).toEqual(['waiting for running write transactions of the source', reading, resting, reading, resting, reading]);
});
