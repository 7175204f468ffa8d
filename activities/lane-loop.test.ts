import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigurationError, FenceMoved, type Applied, type Sink } from '../connectors/sink.ts';
import { appendClaim } from '../connectors/postgres/claim.ts';
import { goOnBytes } from '../connectors/postgres/lane-pace.ts';
import { openSegmentLog } from '../connectors/spool/open-segment-log.ts';
import { systemClock } from '../connectors/system-clock.ts';
import type { Clock } from '../core/clock.ts';
import { resolve } from '../core/define/resolve.ts';
import { eventPositions } from '../core/event-positions.ts';
import { origin, position, type Position } from '../core/position.ts';
import { SegmentBuilder } from '../core/segment-builder.ts';
import type { Segment } from '../core/segment.ts';
import definition from '../pipelines/trending.ts';
import { enoughBytes, runLane, type LaneLoop } from './lane-loop.ts';

const pipeline = resolve(definition, {});
const start = position(1, 100n, 0);
const letters = { keep: async () => {}, passed: () => {}, voidBelow: async () => {} };

/** Time passes as soon as somebody waits for it. */
function hurried(): Clock {
  let nowMs = 0;
  return { ...systemClock, steady: () => nowMs, after: (ms, then) => systemClock.after(0, () => void ((nowMs += ms), then())) };
}

/** Keeps its promise (compare-and-set on the fence) and remembers what it was given. */
class RecordingSink implements Sink {
  fence: Position | undefined = start;
  readonly applied: { seqs: number[]; from: Position; to: Position }[] = [];
  before: () => void | Promise<void> = () => {};

  async readFence(): Promise<Position | undefined> {
    return this.fence;
  }
  async apply(segments: readonly Segment[], from: Position, to: Position): Promise<Applied> {
    await this.before();
    if (this.fence !== from) throw new FenceMoved('test', from, this.fence);
    this.applied.push({ seqs: segments.map(({ header }) => header.seq), from, to });
    this.fence = to;
    return { events: segments.length };
  }
  async load(): Promise<void> {}
  async finishLoad(): Promise<void> {}
  async close(): Promise<void> {}
}

describe('a lane', () => {
  let directory: string;
  let builder: SegmentBuilder;
  let log: Awaited<ReturnType<typeof openSegmentLog>>;
  let sink: RecordingSink;
  let stop: AbortController;
  let lsn: bigint;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-lane-'));
    builder = new SegmentBuilder(pipeline, { epoch: 1, from: start });
    log = await openSegmentLog({ doubtMs: 20, directory, shard: pipeline.name });
    await log.next(1);
    sink = new RecordingSink();
    stop = new AbortController();
    lsn = 100n;
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function append(count: number): Promise<void> {
    const before = builder.segments.length;
    for (let i = 0; i < count; i++) {
      lsn += 10n;
      builder.transaction({ lsn, commitTimeMs: 1e12, events: [{ op: 'insert', row: { id: String(lsn), post_id: '1', viewed_at: '2026-11-21 10:00:00+00' } }] }).cut();
    }
    await log.append(builder.segments.slice(before));
  }

  function run(options: Partial<LaneLoop> = {}) {
    return runLane({ clock: systemClock, pipeline: 'test', name: 'test', sink, log, letters, key: 'id', gatherMs: 0, maxRows: 100_000, signal: stop.signal, onFence: () => {}, onApplied: () => {}, ...options });
  }

  /** Ends the lane once it has applied everything that was appended. */
  const untilCaughtUp = () => run({ onApplied: (_, fence) => fence === builder.segments.at(-1)!.header.to && stop.abort() });

  test('applies what follows the fence, each time all that has come while it was busy', async () => {
    await append(2);
    let busy = true;
    sink.before = async () => {
      if (busy) await append(3);
      busy = false;
    };
    expect(await untilCaughtUp()).toBe('asked');
    expect(sink.applied.map(({ seqs }) => seqs)).toEqual([[1, 2], [3, 4, 5]]);
  });

  test('I4: begins at the fence of the sink, in the middle of the log', async () => {
    await append(4);
    sink.fence = builder.segments[1]!.header.to;
    await untilCaughtUp();
    expect(sink.applied.map(({ seqs }) => seqs)).toEqual([[3, 4]]);
  });

  test('ends at once, and with nothing applied, when it was asked to before', async () => {
    await append(1);
    stop.abort();
    expect(await run()).toBe('asked');
    expect(sink.applied).toEqual([]);
  });

  test('E22: is not interrupted in an apply', async () => {
    await append(1);
    sink.before = () => stop.abort();
    expect(await run()).toBe('asked');
    expect(sink.applied).toHaveLength(1);
  });

  test('a held lane stops exactly at the position, also in the middle of a segment', async () => {
    await append(5);
    const until = position(1, 125n, 0);
    expect(await run({ until })).toBe('held');
    expect(sink.fence).toBe(until);
    expect(sink.applied).toEqual([{ seqs: [1, 2, 3], from: start, to: until }]);
    expect(await run({ until })).toBe('held');
    expect(await run({ until: position(1, 120n, 0) })).toBe('past');
    expect(sink.applied).toHaveLength(1);
  });

  test('a held lane waits until the stream has come to the position', async () => {
    await append(1);
    const until = position(1, 120n, 0);
    let more: Promise<void> | undefined;
    expect(await run({ until, onApplied: () => void (more ??= append(1)) })).toBe('held');
    await more;
    expect(sink.applied).toHaveLength(2);
  });

  test('goes on from the new fence when another worker has moved it once', async () => {
    await append(3);
    let moved = false;
    sink.before = () => {
      if (!moved) sink.fence = builder.segments[1]!.header.to;
      moved = true;
    };
    await untilCaughtUp();
    expect(sink.applied.map(({ seqs }) => seqs)).toEqual([[3]]);
  });

  test('leaves the field to a worker that keeps moving the fence', async () => {
    await append(5);
    let moves = 0;
    sink.before = () => void (sink.fence = builder.segments[moves++]!.header.to);
    expect(await run()).toBe('superseded');
    expect(sink.applied).toEqual([]);
  });

  test('gathers while it is live, never when it is behind', async () => {
    await append(1);
    // the first at once, and what comes soon after it together
    sink.before = () => {
      if (sink.applied.length === 1) stop.abort();
    };
    const first = Promise.withResolvers<void>();
    const gathering = run({ gatherMs: 300, onApplied: () => first.resolve() });
    await first.promise;
    await append(1);
    await append(1);
    await gathering;
    expect(sink.applied.map(({ seqs }) => seqs)).toEqual([[1], [2, 3]]);
    stop = new AbortController();
    sink.before = () => {
      if (sink.applied.length === 3) stop.abort();
    };
    await append(8);
    const startedAt = performance.now();
    await run({ gatherMs: 5_000, maxRows: 4 });
    expect(sink.applied).toHaveLength(4);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test.each([
    { delayMs: [undefined], gatherMs: 0, appliedMs: 0 },
    { delayMs: [undefined], gatherMs: 250, appliedMs: 250 },
    { delayMs: [1_000], gatherMs: 250, appliedMs: 250 },
    { delayMs: [1_000], gatherMs: 0, appliedMs: 200 },
    { delayMs: [3_600_000], gatherMs: 250, appliedMs: 1_000 },
    // nothing more is on its way
    { delayMs: [60_000, 60_000, 60_000, undefined], gatherMs: 0, appliedMs: 150 },
    { delayMs: [60_000], gatherMs: 250, appliedMs: 0, rows: 50_000 },
  ])('of a stream that is late by $delayMs ms, a lane that gathers $gatherMs ms applies after $appliedMs ms', async ({ delayMs, gatherMs, appliedMs, rows = 100 }) => {
    const clock = hurried();
    await append(1);
    const [segment] = builder.segments;
    let look = -1;
    const held: unknown[] = [];
    const slow: LaneLoop['log'] = {
      async read() {
        const delay = delayMs[Math.max(0, Math.min(look++, delayMs.length - 1))];
        const { delayMs: _, ...header } = segment!.header;
        const segments = [{ ...segment!, header: { ...header, ...(look > 0 && delay !== undefined && { delayMs: delay }) }, batches: segment!.batches.map((batch) => ({ ...batch, rows: look > 0 ? rows : 1 })) }];
        held.push(segments);
        return segments;
      },
      release: (segments) => void held.splice(held.indexOf(segments), 1),
    };
    const applied: number[] = [];
    await run({ log: slow, gatherMs, clock, maxRows: 100_000, onApplied: () => void (applied.push(clock.steady()), applied.length === 2 && stop.abort()) });
    expect(applied).toEqual([0, appliedMs]);
    expect(held).toEqual([]);
  });

  test('what a capture may be ahead of a lane is enough for the lane, however late the stream is', async () => {
    await append(1);
    const [segment] = builder.segments;
    const clock = hurried();
    const bytes = new Uint8Array(2 << 20);
    let count = 1;
    const late: LaneLoop['log'] = {
      read: async () => Array.from({ length: count }, () => ({ ...segment!, bytes, header: { ...segment!.header, delayMs: 3_600_000 } })),
      release: () => void (count++),
    };
    const applied: number[] = [];
    await run({ log: late, clock, onApplied: (segments) => void (applied.push(segments.length), applied.length === 2 && stop.abort()) });
    expect(applied).toEqual([1, enoughBytes / bytes.length]);
    expect(enoughBytes).toBeLessThan(goOnBytes);
  });

  test('E1: a live lane asks its destination again before it takes what another capture has read', async () => {
    await append(2);
    const asked: string[] = [];
    let capture = 'first';
    const oneByOne: LaneLoop['log'] = {
      read: async (after, limits, signal) => (await log.read(after, limits, signal)).slice(0, 1).map((segment) => ({ ...segment, header: { ...segment.header, captureId: capture } })),
      release: () => {},
    };
    const rebuild = async () => (asked.push('rebuilt'), (sink.fence = builder.segments[0]!.header.to));
    sink.readFence = async () => (asked.push('asked'), capture === 'second' && !asked.includes('rebuilt') ? undefined : sink.fence);
    const applied: (readonly [string, Position])[] = [];
    await run({ log: oneByOne, rebuild, onApplied: (segments, fence) => void (applied.push([segments[0]!.header.captureId, fence]), (capture = 'second'), applied.length === 2 && stop.abort()) });
    expect(asked).toEqual(['asked', 'asked', 'asked', 'rebuilt']);
    expect(applied.map(([id]) => id)).toEqual(['first', 'second']);
  });

  test('ends an apply in the middle of what it has if its destination would do nothing else for too long', async () => {
    await append(5);
    const positions = eventPositions(builder.segments, start, builder.segments[4]!.header.to);
    const limit = { events: 2, applied: () => {} };
    const reached: number[] = [];
    await run({ limit, onApplied: (segments) => void (reached.push(segments.length), sink.applied.length === 3 && stop.abort()) });
    expect(sink.applied.map(({ to }) => to)).toEqual([positions[1], positions[3], builder.segments[4]!.header.to]);
    expect(reached).toEqual([2, 2, 1]);
  });

  test('an emptied destination is a sentence for a person, or is rebuilt where that is possible', async () => {
    await append(2);
    sink.fence = undefined;
    await expect(run()).rejects.toThrow(ConfigurationError);
    await expect(run()).rejects.toThrow(/has no fence.*resume/);
    const rebuild = async () => (sink.fence = builder.segments[0]!.header.to);
    await run({ rebuild, onApplied: () => stop.abort() });
    expect(sink.applied.map(({ seqs }) => seqs)).toEqual([[2]]);
  });

  test('I4: a fence from before the spool is a sentence for a person, or the destination is rebuilt where that is possible', async () => {
    await append(2);
    sink.fence = origin;
    await expect(run()).rejects.toThrow(ConfigurationError);
    await expect(run()).rejects.toThrow(new RegExp(`^Lane test: its destination is at position ${origin}, and the spool begins at ${start}.*restored.*--lane test`));
    const rebuild = async () => (sink.fence = builder.segments[0]!.header.to);
    await run({ rebuild, onApplied: () => stop.abort() });
    expect(sink.applied.map(({ seqs }) => seqs)).toEqual([[2]]);
  });

  test('E5: it is not if another worker has gone on from there meanwhile, and the spool begins where that one is', async () => {
    await append(3);
    await log.trim(builder.segments[1]!.header.to, -1);
    const fences = [start, builder.segments[1]!.header.to];
    sink.fence = fences[1];
    sink.readFence = async () => fences.shift();
    await run({ onApplied: () => stop.abort() });
    expect(sink.applied.map(({ seqs }) => seqs)).toEqual([[3]]);
  });

  test.each([true, false])('I4: so it is when the spool is trimmed while a live lane gathers (rebuilt: %s)', async (isRebuilt) => {
    await append(1);
    const [first] = builder.segments;
    let more: Promise<void> | undefined;
    let reads = 0;
    const trimmed: LaneLoop['log'] = {
      async read(after, limits, signal) {
        await more;
        if (after === first!.header.to && ++reads === 2) await log.trim(builder.segments[2]!.header.to, -1);
        return log.read(after, limits, signal);
      },
      release: (segments) => log.release(segments),
    };
    const rebuild = isRebuilt ? async () => (sink.fence = builder.segments[2]!.header.to) : undefined;
    // it always gathers, and nobody waits for it
    const clock = hurried();
    const lane = run({ log: trimmed, gatherMs: 600_000, clock, rebuild, onApplied: () => void (more ? stop.abort() : (more = append(3))) });
    if (isRebuilt) await lane;
    else await expect(lane).rejects.toThrow(new RegExp(`^Lane test: its destination is at position ${first!.header.to}, and the spool begins at`));
    expect(sink.applied.map(({ seqs }) => seqs)).toEqual(isRebuilt ? [[1], [4]] : [[1]]);
    expect(reads).toBe(2);
  });

  describe('E28: whose destination was restored to a time before a load', () => {
    const loaded = position(2, 500n, 0);
    beforeEach(async () => {
      await append(2);
      await appendClaim(log, { captureId: 'later', claim: { definitionHash: '', systemIdentifier: '', timeline: 1, epoch: 2, slot: '', binary: true }, start: loaded, after: builder.segments.at(-1)!.header, firstSeq: 0 });
    });

    test('stops: what only the load found is not in the stream', async () => {
      await expect(run()).rejects.toThrow(/of load 1, and the stream goes on with load 2.*Restore it to a later one/);
      expect(sink.fence).toBe(start);
    });

    test('is rebuilt if that is possible, and stops if that does not help', async () => {
      await expect(run({ rebuild: async () => start })).rejects.toThrow(/of load 1/);
      const rebuild = async () => {
        stop.abort();
        return (sink.fence = loaded);
      };
      expect(await run({ rebuild })).toBe('asked');
      expect(sink.applied).toEqual([]);
    });
  });
});
