import { describe, expect, test } from 'vitest';
import type { Clock } from '../core/clock.ts';
import { resolve } from '../core/define/resolve.ts';
import { position, type Position } from '../core/position.ts';
import { SegmentBuilder } from '../core/segment-builder.ts';
import definition from '../pipelines/trending.ts';
import { goesOn, runBackfill, type BackfillLoop, type Snapshot } from './backfill-loop.ts';

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
    yield* [];
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

describe('a lane that stands still before the snapshot', () => {
  test('ends the step, and lets go of the snapshot; its going on shows soon', async () => {
    let fence = at(50);
    const { run, phases, snapshots, clock } = stage(() => fence);
    const { isDone, standing } = await run();
    expect([isDone, standing?.lane, standing?.fence]).toEqual([false, 'aggregate', at(50)]);
    expect(phases.at(-1)).toBe('waiting for lane aggregate to pass the snapshot');
    expect(snapshots.map(({ isClosed }) => isClosed)).toEqual([true]);

    const sinceMs = clock.steady();
    let looks = 0;
    const sink = { readFence: async () => (looks++ === 3 ? (fence = at(100)) : fence) };
    expect(await goesOn({ ...standing!, sink }, { clock, signal: new AbortController().signal, mostMs: 60 * minute })).toBe(true);
    expect(clock.steady() - sinceMs).toBeLessThan(5_000);
    expect(await run()).toEqual({ rows: 3_000, isDone: true });
  });

  test('is not waited for without end, nor when the wait is ended', async () => {
    const { run, clock } = stage(() => at(50));
    const { standing } = await run();
    const sinceMs = clock.steady();
    expect(await goesOn(standing!, { clock, signal: new AbortController().signal, mostMs: 60 * minute })).toBe(false);
    expect(clock.steady() - sinceMs).toBe(60 * minute);
    expect(await goesOn(standing!, { clock, signal: AbortSignal.abort(), mostMs: 60 * minute })).toBe(false);
    expect(clock.steady() - sinceMs).toBe(60 * minute);
  });

  test('is another than one that follows slowly, whose snapshot becomes too old', async () => {
    let looks = 0;
    const { run } = stage(() => at(Math.floor(looks++ / 100)));
    expect(await run()).toEqual({ rows: 0, isDone: false });
  });
});

test('a piece of panes is as long as fifty milliseconds of work, without the wait for its turn, and of five to fifty panes, or of hundreds that are empty', async () => {
  const clock = virtualClock();
  const lengths: number[] = [];
  let donePanes = 0;
  const pane = 10_000;
  const all = 1_600;
  const rows = Array.from({ length: all }, (_, place) => place).filter((place) => place < 200 || place >= 1_000);
  const builder = new SegmentBuilder(resolve(definition, {}), { epoch: 1, from: at(1) });
  builder.transaction({ lsn: 10n, commitTimeMs: 0, events: rows.map((place) => ({ op: 'insert', row: { id: String(place), post_id: '1', viewed_at: new Date(place * pane).toISOString() } })) });
  const long = new (class extends TenMinutes {
    override readonly lengthMs = all * pane;
    override async *read(): ReturnType<Snapshot['read']> {
      yield* builder.cut().segments;
    }
  })();
  const { run } = stage(() => at(100));
  await run({
    clock,
    take: async () => long,
    panes: {
      readFence: async () => at(100),
      markRebuild: async () => ({ fromMs: donePanes * pane, toMs: all * pane }),
      replacePanes: async (_, { range: { fromMs, toMs }, panes }, onTurn) => {
        clock.after(1_000, () => {});
        onTurn?.();
        const length = (toMs - fromMs) / pane;
        expect(panes.get('trending')!.count).toBe(rows.filter((place) => place * pane >= fromMs && place * pane < toMs).length);
        lengths.push(length);
        donePanes = toMs / pane;
        // the first have much in them, and the last next to nothing
        clock.after(donePanes <= 100 ? length * 40 : donePanes <= 200 ? length * 5 : 1, () => {});
        return 'done';
      },
    },
  });
  const from = (place: number) => lengths.slice(lengths.findIndex((_, index) => lengths.slice(0, index).reduce((sum, length) => sum + length, 0) === place)).slice(0, 3);
  expect([from(0), from(100), from(205), lengths.slice(-3)]).toEqual([[10, 5, 5], [5, 10, 10], [500, 295, 40], [50, 50, 10]]);
  expect(donePanes).toBe(all);
});

test('while it keeps to a speed it says that it rests, not that it reads', async () => {
  const { run, phases } = stage(() => at(100));
  expect(await run({ rowsPerSecond: 100 })).toEqual({ rows: 3_000, isDone: true });
  const [reading, resting] = ['reading', 'resting, to read no more than 100 rows a second'];
  expect(phases).toEqual(['waiting for running write transactions of the source', reading, resting, reading, resting, reading]);
});
