import { copyFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resolve } from '../../core/define/resolve.ts';
import { position, type Position } from '../../core/position.ts';
import { SegmentBuilder } from '../../core/segment-builder.ts';
import { openSegment } from '../../core/segment-file.ts';
import type { Segment } from '../../core/segment.ts';
import definition from '../../pipelines/trending.ts';
import { systemClock } from '../system-clock.ts';
import { openDirectorySpool } from './directory-spool.ts';
import { type Files, systemFiles } from './files.ts';
import { BrokenChain } from './segment-chain.ts';
import { SpoolLost, SpoolTooShort } from './segment-log.ts';
import { openSegmentLog } from './open-segment-log.ts';

const pipeline = resolve(definition, {});
const start = position(1, 100n, 0);
const never = new AbortController().signal;

function segments(count: number) {
  const builder = new SegmentBuilder(pipeline, { epoch: 1, from: start });
  for (let i = 1; i <= count; i++) builder.transaction({ lsn: BigInt(100 + i), commitTimeMs: 1e12 + i, events: [{ op: 'insert', row: { id: String(i), post_id: '1', viewed_at: '2026-11-21 10:00:00+00' } }] }).cut();
  return builder.segments;
}

describe('the log of segments', () => {
  let directory: string;
  let aheadMs: number;
  beforeEach(async () => {
    aheadMs = 0;
    directory = await mkdtemp(join(tmpdir(), 'sluice-spool-'));
  });
  afterEach(() => rm(directory, { recursive: true }));
  const clock = { ...systemClock, now: () => Date.now() + aheadMs };
  const open = async () => {
    const log = await openSegmentLog({ doubtMs: 20, directory, shard: 'trending', clock });
    await log.next(1);
    return log;
  };

  test('gives what follows a position, from memory and after a restart', async () => {
    const list = segments(5);
    const log = await open();
    expect(await log.append(list)).toBe('appended');
    for (const reader of [log, await open()]) {
      expect((await reader.read(start, { maxRows: 100 }, never)).map(({ header }) => header.seq)).toEqual([1, 2, 3, 4, 5]);
      expect((await reader.read(list[2]!.header.to, { maxRows: 1 }, never)).map(({ header }) => header.seq)).toEqual([4]);
      expect((await reader.tail())!.seq).toBe(5);
    }
  });

  test('E20: what is behind a position is counted whoever appended it', async () => {
    const list = segments(5);
    const log = await open();
    await log.append(list.slice(0, 3));
    const other = await open();
    await other.append(list.slice(3));
    const bytes = (place: number) => list.slice(place).reduce((sum, segment) => sum + segment.bytes.length, 0);
    await log.tail();
    for (const each of [log, other, await open()]) {
      expect(await Promise.all([start, list[1]!.header.to, list[4]!.header.to].map((after) => each.sizeAfter(after)))).toEqual([bytes(0), bytes(2), 0]);
    }
  });

  test('takes hundreds of small segments at once, and of large ones no more than is asked for', async () => {
    const list = segments(700);
    const log = await open();
    await log.append(list);
    for (const reader of [log, await open()]) {
      const numbers = async (after: Position, maxRows: number) => (await reader.read(after, { maxRows }, never)).map(({ header }) => header.seq);
      expect(await numbers(start, 1_000)).toEqual(list.slice(0, 512).map(({ header }) => header.seq));
      expect(await numbers(list[9]!.header.to, 40)).toEqual(list.slice(10, 50).map(({ header }) => header.seq));
    }
  });

  test('what every reader has leaves the memory, and is read from the spool by whoever still asks', async () => {
    const list = segments(5);
    let reads = 0;
    const files: Files = { ...systemFiles, read: (path, length, allocate) => (path.endsWith('.segment') && reads++, systemFiles.read(path, length, allocate)) };
    const log = await openSegmentLog({ doubtMs: 20, directory, shard: 'trending', files });
    await log.next(1);
    await log.append(list.slice(0, 1));
    await log.append(list.slice(1));
    const ends = list.map(({ header }) => header.to);
    const readsOf = async (after: Position) => {
      const before = reads;
      const found = await log.read(after, { maxRows: 100 }, never);
      return { seqs: found.map(({ header }) => header.seq), files: reads - before };
    };
    expect(await readsOf(ends[0]!)).toEqual({ seqs: [2, 3, 4, 5], files: 0 });
    log.passed(ends[2]!);
    expect(await readsOf(ends[2]!)).toEqual({ seqs: [4, 5], files: 0 });
    expect(await readsOf(ends[0]!)).toEqual({ seqs: [2, 3, 4, 5], files: 2 });
    log.passed(ends[4]!);
    expect(await readsOf(ends[3]!)).toEqual({ seqs: [5], files: 1 });
    // lanes that go on together read each file once
    log.passed(ends[4]!);
    const before = reads;
    const together = await Promise.all(Array.from({ length: 3 }, () => log.read(ends[0]!, { maxRows: 100 }, never)));
    for (const found of together) expect(found.map(({ header }) => header.seq)).toEqual([2, 3, 4, 5]);
    expect(reads - before).toBe(4);
  });

  test('what is appended while a directory is read is no hole (POSIX leaves open which names that finds); behind a known tail none is read', async () => {
    const list = segments(40);
    const log = await open();
    await log.append(list.slice(0, 3));
    let reads = 0;
    const files: Files = {
      ...systemFiles,
      async names(path) {
        if (reads++ === 0) await log.append(list.slice(3, 6));
        const skipped = ['4', '5'].map((seq) => `${seq.padStart(16, '0')}.segment`);
        return (await systemFiles.names(path)).filter((name) => !skipped.includes(name));
      },
    };
    const reader = await openSegmentLog({ doubtMs: 20, directory, shard: 'trending', files });
    expect((await reader.tail())!.seq).toBe(6);
    expect((await reader.read(start, { maxRows: 100 }, never)).map(({ header }) => header.seq)).toEqual([1, 2, 3, 4, 5, 6]);
    await log.append(list.slice(6));
    expect((await reader.tail())!.seq).toBe(40);
    expect(reads).toBe(1);
  });

  test('a file that is missing in the middle is found by whoever opens it, and each time again; without any file it begins anew', async () => {
    const spool = join(directory, 'trending');
    const list = segments(6);
    await (await open()).append(list);
    await rm(join(spool, (await readdir(spool)).filter((name) => name.endsWith('.segment')).toSorted()[2]!));
    for (let attempt = 0; attempt < 2; attempt++) await expect(open()).rejects.toThrow(BrokenChain);
    await rm(spool, { recursive: true });
    expect(await (await open()).tail()).toBeUndefined();
  });

  test('a copy of a file under another name holds up nothing, and is none of the segments', async () => {
    await (await open()).append(segments(2));
    const spool = join(directory, 'trending');
    for (const name of ['9'.repeat(15), `0${'9'.repeat(15)}`]) await copyFile(join(spool, `${'2'.padStart(16, '0')}.segment`), join(spool, `${name}.segment`));
    expect((await (await open()).tail())!.seq).toBe(2);
  });

  test('what is missing in the middle ends what it gives', async () => {
    const list = segments(60);
    await (await open()).append(list);
    const log = await open();
    await rm(join(directory, 'trending', (await readdir(join(directory, 'trending'))).toSorted()[40]!));
    expect((await log.read(start, { maxRows: 1_000 }, never)).map(({ header }) => header.seq)).toEqual(list.slice(0, 40).map(({ header }) => header.seq));
  });

  test('what was appended to a spool after it was deleted, and before it begins again, is not there', async () => {
    const list = segments(3);
    const log = await open();
    await log.append(list.slice(0, 2));
    await rm(join(directory, 'trending'), { recursive: true });
    const spool = await openDirectorySpool(join(directory, 'trending'), systemFiles, systemClock);
    expect(await spool.append(3, [list[2]!.bytes])).toBe('appended');
    expect(await spool.list()).toEqual([]);
    expect(await log.tail()).toBeUndefined();
    expect(await log.next(9)).toBe(9);
  });

  test('a reader waits for the next segment, also when another process appends it', async () => {
    const list = segments(2);
    const [writer, reader] = [await open(), await open()];
    await writer.append([list[0]!]);
    const waiting = reader.read(list[0]!.header.to, { maxRows: 10 }, never);
    await writer.append([list[1]!]);
    expect((await waiting).map(({ header }) => header.seq)).toEqual([2]);
  });

  test('of readers that wait together one looks for all', async () => {
    const list = segments(2);
    const writer = await open();
    await writer.append([list[0]!]);
    let looks = 0;
    const files: Files = { ...systemFiles, describe: (path) => (looks++, systemFiles.describe(path)) };
    const log = await openSegmentLog({ directory, shard: 'trending', files });
    const [startedAt, before] = [performance.now(), looks];
    const reading = Array.from({ length: 20 }, () => log.read(list[0]!.header.to, { maxRows: 100 }, never));
    await wait(1_000);
    expect(looks - before).toBeGreaterThan(0);
    // at two files every 50 ms at most; each reader on its own would look at 400 in a second
    expect(looks - before).toBeLessThanOrEqual(2 * ((performance.now() - startedAt) / 50 + 1));
    await writer.append([list[1]!]);
    expect((await Promise.all(reading)).map(([segment]) => segment!.header.seq)).toEqual(Array(20).fill(2));
  });

  test('I5: of two captures that append the same number one loses, and the loser changes nothing', async () => {
    const [first, second] = segments(2);
    const [a, b] = [await open(), await open()];
    const outcomes = await Promise.all([a.append([first!]), b.append([first!])]);
    expect(outcomes.sort()).toEqual(['appended', 'lost']);
    expect(await (await open()).append([second!])).toBe('appended');
    expect((await readdir(join(directory, 'trending'))).filter((name) => name.endsWith('.segment'))).toHaveLength(2);
  });

  test('I5: a segment that does not continue the chain is refused', async () => {
    const list = segments(3);
    const log = await open();
    await log.append([list[0]!]);
    await expect(log.append([list[2]!])).rejects.toThrow(SpoolLost);
  });

  test('I5: what does not continue the chain is never there, not for a moment, though a reader has forgotten what is', async () => {
    const list = segments(4);
    const linked: string[] = [];
    const files: Files = { ...systemFiles, link: (path, name) => systemFiles.link(path, name).finally(() => linked.push(basename(name))) };
    const log = await openSegmentLog({ doubtMs: 60_000, cacheBytes: 0, directory, shard: 'trending', clock, files });
    await log.next(1);
    for (const each of list) await log.append([each]);
    expect(log.bytesAfter(start)).toBeGreaterThan(0);
    const other = await open();
    aheadMs = 1_000;
    await other.trim(list[1]!.header.to, 0);
    const end = new AbortController();
    const reading = log.read(start, { maxRows: 10 }, end.signal).catch((error: unknown) => error);
    while (log.bytesAfter(start) > 0) await new Promise((done) => setImmediate(done));
    // of a capture that stood still since there was nothing
    const [late] = new SegmentBuilder(pipeline, { epoch: 1, from: start, seq: 5 }).transaction({ lsn: 200n, commitTimeMs: 1e12, events: [{ op: 'insert', row: { id: '9', post_id: '1', viewed_at: '2026-11-21 10:00:00+00' } }] }).cut().segments;
    await expect(log.append([late!])).rejects.toThrow(SpoolLost);
    expect(linked).not.toContain('0000000000000005.segment');
    end.abort();
    expect(await reading).toBeInstanceOf(SpoolTooShort);
  });

  test('E3: a number that was trimmed is never valid again', async () => {
    const list = segments(4);
    const log = await open();
    await log.append(list);
    aheadMs = 1_000;
    await log.trim(list[2]!.header.to, 0);
    const zombie = await openDirectorySpool(join(directory, 'trending'), systemFiles, systemClock);
    expect(await zombie.append(2, [list[1]!.bytes])).toBe('lost');
    const later = await open();
    await expect(later.read(start, { maxRows: 10 }, never)).rejects.toThrow(SpoolTooShort);
    expect((await later.read(list[2]!.header.to, { maxRows: 10 }, never)).map(({ header }) => header.seq)).toEqual([4]);
    // nor is it there any more, for whoever knows as little
    expect((await readdir(join(directory, 'trending'))).filter((name) => name.endsWith('.segment'))).toEqual(['0000000000000004.segment']);
  });

  test('E3: what a zombie brings back of what was trimmed is not read by another that stood still, not for a moment', async () => {
    const list = segments(4);
    const log = await open();
    await log.append(list.slice(0, 1));
    const late = await open();
    await log.append(list.slice(1));
    const old = list.slice(0, 2).map(({ bytes }) => bytes);
    aheadMs = 1_000;
    await log.trim(list[2]!.header.to, 0);
    // as those leave it that knew of none, of the first, and of two
    const [other] = new SegmentBuilder(pipeline, { epoch: 1, from: list[0]!.header.to, seq: 2 }).transaction({ lsn: 300n, commitTimeMs: 1e12, events: [{ op: 'insert', row: { id: '9', post_id: '1', viewed_at: '2026-11-21 10:00:00+00' } }] }).cut().segments;
    for (const [seq, bytes] of [[1, old[0]!], [2, other!.bytes], [3, list[2]!.bytes]] as const) await writeFile(join(directory, 'trending', `000000000000000${seq}.segment`), bytes);
    expect((await late.tail())?.seq).not.toBe(3);
    expect(await late.tail()).toMatchObject({ seq: 4, to: list[3]!.header.to });
    expect(await late.oldest()).toMatchObject({ seq: 4 });
  });

  test('files that were deleted are noticed: nothing is appended behind them, and who reads waits for what comes', async () => {
    const list = segments(6);
    const [writer, reader] = [await open(), await open()];
    await writer.append(list.slice(0, 2));
    expect(await reader.read(start, { maxRows: 100 }, never)).toHaveLength(2);
    await rm(join(directory, 'trending'), { recursive: true });
    await expect(writer.append([list[2]!])).rejects.toThrow(SpoolLost);
    expect(await writer.tail()).toBeUndefined();
    // the stream comes again, cut otherwise and under other numbers
    const next = await writer.next(50);
    expect(next).toBe(50);
    const builder = new SegmentBuilder(pipeline, { epoch: 1, from: start, seq: next });
    for (let i = 1; i <= 3; i++) builder.transaction({ lsn: BigInt(100 + i), commitTimeMs: 1e12 + i, events: [{ op: 'insert', row: { id: String(i), post_id: '1', viewed_at: '2026-11-21 10:00:00+00' } }] });
    expect(await writer.append(builder.cut().segments)).toBe('appended');
    expect((await reader.read(list[1]!.header.to, { maxRows: 100 }, never)).map(({ header }) => header.seq)).toEqual([50]);
  });

  test('memory is used again, but never that of a segment which somebody looks at', async () => {
    const rows = Array.from({ length: 6_000 }, (_, row) => ({ op: 'insert' as const, row: { id: String(row), post_id: '1', viewed_at: '2026-11-21 10:00:00+00' } }));
    const builder = new SegmentBuilder(pipeline, { epoch: 1, from: start });
    for (let i = 1; i <= 12; i++) builder.transaction({ lsn: BigInt(100 + i), commitTimeMs: 1e12 + i, events: rows }).cut();
    const made = builder.segments;
    let reused = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom('append', 'read', 'together', 'release'), fc.nat(3), fc.nat(11)), { minLength: 20, maxLength: 60 }), async (acts) => {
        await rm(join(directory, 'trending'), { recursive: true, force: true });
        const log = await openSegmentLog({ doubtMs: 20, directory, shard: 'trending', cacheBytes: made[0]!.bytes.length * 2 });
        await log.next(1);
        const seen = new Set<ArrayBufferLike>();
        let appended = 0;
        const append = async () => {
          const { bytes } = made[appended++]!;
          const memory = log.allocate(bytes.length);
          if (seen.has(memory.buffer)) reused++;
          seen.add(memory.buffer);
          memory.set(bytes);
          const segment = openSegment(memory, { verify: true });
          expect(await log.append([segment])).toBe('appended');
          log.release([segment]);
        };
        const looking: (readonly Segment[])[] = [[], [], [], []];
        const check = (list: readonly Segment[]) => {
          for (const { bytes, header } of list) expect(Buffer.compare(bytes, made[header.seq - 1]!.bytes)).toBe(0);
        };
        await append();
        for (const [act, looker, place] of acts) {
          if (act === 'append') {
            if (appended < made.length) await append();
            looking.forEach(check);
            continue;
          }
          const lookers = act === 'together' ? [looker, (looker + 1) % looking.length] : [looker];
          for (const each of lookers) {
            check(looking[each]!);
            log.release(looking[each]!);
            looking[each] = [];
          }
          const read = () => log.read(place % appended === 0 ? start : made[(place % appended) - 1]!.header.to, { maxRows: 12_000 }, never);
          if (act !== 'release') await Promise.all(lookers.map(async (each) => (looking[each] = await read())));
          looking.forEach(check);
        }
      }),
      { numRuns: 40 },
    );
    expect(reused).toBeGreaterThan(0);
  });

  test('E4: segments younger than spoolKeep stay, and so does the tail', async () => {
    const list = segments(3);
    const log = await open();
    await log.append(list);
    await log.trim(list[2]!.header.to, 60_000);
    expect((await log.oldest())!.seq).toBe(1);
    aheadMs = 1_000;
    await log.trim(list[2]!.header.to, 0);
    expect((await log.oldest())!.seq).toBe(3);
  });

  test('a file that was damaged is not read as data', async () => {
    const [first] = segments(1);
    const log = await open();
    await log.append([first!]);
    const name = (await readdir(join(directory, 'trending'))).find((each) => each.endsWith('.segment'))!;
    const bytes = first!.bytes.slice();
    bytes[bytes.length - 20]! ^= 0xff;
    await writeFile(join(directory, 'trending', name), bytes);
    await expect((await open()).read(start, { maxRows: 10 }, never)).rejects.toThrow(/checksum/);
  });

  test('E20: a disk that is full to its last block is trimmed all the same, and nothing is forgotten that was not noted', async () => {
    const list = segments(6);
    let isFull = false;
    const reserved = () => systemFiles.describe(join(directory, 'trending', 'reserve'));
    const files: Files = {
      ...systemFiles,
      async write(path, bytes) {
        if (isFull && (await reserved())) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        await systemFiles.write(path, bytes);
      },
    };
    const log = await openSegmentLog({ directory, shard: 'trending', files, clock });
    await log.next(1);
    await log.append(list);
    isFull = true;
    aheadMs = 1_000;
    await log.trim(list[2]!.header.to, 0);
    expect((await log.oldest())!.seq).toBe(4);
    expect((await (await open()).oldest())!.seq).toBe(4);
    // it was made again, in the room that the segments have left
    expect(await reserved()).toBeDefined();
  });

  test('a disk without even that room keeps all, and leaves nothing behind', async () => {
    const list = segments(3);
    let isFull = false;
    const write: Files['write'] = (path, bytes) => (isFull ? Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })) : systemFiles.write(path, bytes));
    const log = await openSegmentLog({ directory, shard: 'trending', files: { ...systemFiles, write }, clock });
    await log.next(1);
    await log.append(list);
    isFull = true;
    aheadMs = 1_000;
    await expect(log.trim(list[1]!.header.to, 0)).rejects.toThrow('no space left');
    expect((await log.oldest())!.seq).toBe(1);
    expect((await readdir(join(directory, 'trending'))).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    isFull = false;
    await log.trim(list[1]!.header.to, 0);
    expect((await log.oldest())!.seq).toBe(3);
  });

  test('trims that overlap forget what they delete, and no more', async () => {
    const list = segments(30);
    const log = await openSegmentLog({ doubtMs: 20, directory, shard: 'trending', files: { ...systemFiles, remove: (path) => new Promise((done) => setTimeout(done, 2)).then(() => systemFiles.remove(path)) } });
    await log.next(1);
    await log.append(list);
    aheadMs = 1_000;
    await new Promise((done) => setTimeout(done, 5));
    await Promise.all([log.trim(list[9]!.header.to, 0), log.trim(list[11]!.header.to, 0)]);
    expect((await log.oldest())!.seq).toBe(13);
    expect((await readdir(join(directory, 'trending'))).filter((name) => name.endsWith('.segment')).toSorted()[0]).toMatch(/^0*13\.segment$/);
  });
});
