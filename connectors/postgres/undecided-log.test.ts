import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { position } from '../../core/position.ts';
import { encodeSegment, openSegment } from '../../core/segment-file.ts';
import type { SegmentHeader } from '../../core/segment.ts';
import { beginMessage, commitMessage, logicalMessage } from '../../test/simulation/pgoutput-writer.ts';
import { openSegmentLog } from '../spool/open-segment-log.ts';
import { systemClock } from '../system-clock.ts';
import { TransientError } from '../transient-error.ts';
import { KeptStream } from './kept-stream.ts';
import { UndecidedWriter } from './pgoutput/undecided-writer.ts';
import { assertUndecided, claimUndecided, streamEndOf, undecidedEnd, undecidedStart } from './undecided-log.ts';

const claim = { definitionHash: '', systemIdentifier: '1', timeline: 1, epoch: 1, slot: 's', binary: false };

/** A chain, and what adds to it as a capture does. */
async function chain() {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-undecided-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  let nowMs = 0;
  // what is of this millisecond is not trimmed
  const open = () => openSegmentLog({ directory, shard: 'undecided', doubtMs: 20, cacheBytes: 0, clock: { ...systemClock, now: () => ++nowMs } });
  const log = await open();
  const claimed = async (captureId: string, tail: bigint, after: SegmentHeader | undefined) => claimUndecided(log, { captureId, claim, firstSeq: 1 }, after, position(1, tail, 1));
  const keep = async (after: SegmentHeader, ...transactions: bigint[]) => {
    const writer = new UndecidedWriter({ pipeline: 'p', shard: 'undecided', captureId: after.captureId, epoch: 1, after });
    for (const lsn of transactions) for (const bytes of [beginMessage(lsn, 0n), logicalMessage(0n, 'sluice:p', '1'), commitMessage(lsn, lsn + 8n, 0n)]) writer.message(bytes, 0, bytes.length, 0, Number(lsn));
    return log.append([openSegment(encodeSegment(writer.cut()), { verify: false })]);
  };
  return { log, open, claimed, keep };
}

test('what only the spool has of what was before it is not taken for kept, when the spool begins anew below that', async () => {
  const { log, claimed, keep } = await chain();
  await keep((await claimed('first', 100n, undefined))!, 100n, 110n);
  // much later: another change waits, and the spool has come to 500 without it
  await keep((await claimed('second', 500n, await log.tail()))!, 500n, 600n);
  expect(await undecidedEnd(log, position(1, 500n, 1))).toMatchObject({ position: position(1, 600n, 0xffffffff), endLsn: 608n });
  expect(await undecidedStart(log, position(1, 500n, 1))).toBe(position(1, 499n, 0xffffffff));
  expect(await undecidedEnd(log, position(1, 550n, 1))).toBeDefined();
  for (const tail of [110n, 300n, 498n]) expect(await undecidedEnd(log, position(1, tail, 1))).toBeUndefined();
});

test('E3: who has not looked at its newest segment does not claim it', async () => {
  const { log, claimed, keep } = await chain();
  const first = (await claimed('first', 100n, undefined))!;
  const looked = await log.tail();
  await keep(first, 100n);
  expect(await claimed('second', 100n, looked)).toBeUndefined();
  expect(await claimed('second', 100n, await log.tail())).toMatchObject({ captureId: 'second', to: position(1, 100n, 0xffffffff) });
  expect(await keep({ ...first, to: position(1, 100n, 0xffffffff), seq: first.seq + 1 }, 200n)).toBe('lost');
});

test('E1: what another capture keeps while this one begins is not taken for changes beyond a source that was set back', async () => {
  const { log, claimed, keep } = await chain();
  const first = (await claimed('first', 100n, undefined))!;
  let walEnd = 100n;
  const keepMore = async () => {
    await keep(first, 100n, 200n);
    walEnd = 208n;
    return log.tail();
  };
  const timeline = { timeline: 1, history: '' };
  const look = (tail: () => ReturnType<typeof log.tail>) => assertUndecided('p', { ...log, lastClaim: () => log.lastClaim(), tail }, { epoch: 1, recorded: undefined, present: timeline, source: { timeline: async () => timeline, walEnd: async () => walEnd } });
  expect(await look(keepMore)).toMatchObject({ to: position(1, 200n, 0xffffffff) });
  walEnd = 190n;
  await expect(look(() => log.tail())).rejects.toThrow('was set back');
});

test('what another process has trimmed is not looked for', async () => {
  const { log, open, claimed, keep } = await chain();
  const first = (await claimed('first', 100n, undefined))!;
  await keep(first, 100n);
  const kept = (await log.tail())!;
  await keep(kept, 200n);
  const other = await open();
  // of which the spool ends with the last event
  await other.trim(kept.to, 0);
  const tail = position(1, 100n, 1);
  expect(await undecidedEnd(log, tail)).toMatchObject({ position: position(1, 200n, 0xffffffff) });
  expect(await undecidedStart(log, tail)).toBe(kept.to);
});

test('E6: what a capture reads into the spool, and forgets here, while somebody looks for a gap is not taken for lost', async () => {
  const { log, claimed, keep } = await chain();
  await keep((await claimed('first', 100n, undefined))!, 100n, 200n);
  const kept = (await log.tail())!;
  await keep(kept, 300n);
  let tail = position(1, 100n, 1);
  const spool = { tail: async () => ({ to: tail }) as SegmentHeader, lastEvents: async () => undefined, read: async () => [], release: () => {} };
  expect(await streamEndOf(spool, log)).toMatchObject({ position: position(1, 300n, 0xffffffff) });
  const reading = {
    ...log,
    oldest: () => log.oldest(),
    read: log.read.bind(log),
    release: log.release.bind(log),
    lastEvents: () => log.lastEvents(),
    async tail() {
      if (tail < kept.to) {
        tail = position(1, 200n, 5);
        await log.trim(kept.to, 0);
      }
      return log.tail();
    },
  };
  expect(await streamEndOf(spool, reading)).toMatchObject({ position: position(1, 300n, 0xffffffff) });
  tail = position(1, 400n, 1);
  expect(await streamEndOf(spool, log)).toMatchObject({ position: tail });
});

test('what a capture trims while somebody looks where it ends is known from its header alone', async () => {
  const { log, open, claimed, keep } = await chain();
  await keep((await claimed('first', 100n, undefined))!, 200n);
  const kept = (await log.tail())!;
  await claimed('second', 100n, kept);
  const other = await open();
  const trimmed = {
    ...log,
    tail: () => log.tail(),
    oldest: () => log.oldest(),
    read: log.read.bind(log),
    release: log.release.bind(log),
    async lastEvents() {
      const last = await log.lastEvents();
      await other.trim(kept.to, 0);
      return last;
    },
  };
  expect(await undecidedEnd(trimmed, position(1, 100n, 1))).toEqual({ position: position(1, 200n, 0xffffffff), endLsn: 208n, committedMs: undefined });
});

test('what is trimmed, or deleted, when it is about to be read is looked at again', async () => {
  const { log, open, claimed, keep } = await chain();
  await keep((await claimed('first', 100n, undefined))!, 200n);
  const kept = (await log.tail())!;
  await keep(kept, 300n);
  const tail = position(1, 200n, 1);
  const reader = { position: () => tail, isOver: () => false, message: () => {}, spool: async () => {}, signal: new AbortController().signal };
  const other = await open();
  const stream = new KeptStream(log);
  expect(await stream.look(tail)).toMatchObject({ position: position(1, 300n, 0xffffffff) });
  await expect(stream.read({ ...reader, room: () => other.trim(kept.to, 0) })).rejects.toThrow(TransientError);
  await other.startOver();
  await expect(stream.read({ ...reader, room: async () => {} })).rejects.toThrow(TransientError);
});
