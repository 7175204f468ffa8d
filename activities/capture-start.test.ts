import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSegmentLog } from '../connectors/spool/open-segment-log.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { resolve } from '../core/define/resolve.ts';
import { parsePosition, position, type Position } from '../core/position.ts';
import { SegmentBuilder } from '../core/segment-builder.ts';
import definition from '../pipelines/engagement.ts';
import { captureStart, countedFences } from './capture-start.ts';

const pipeline = resolve(definition, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1/', SLUICE_EXTERNAL_SECRET: 'whsec_AAAA' });
const at = (lsn: number) => position(1, BigInt(lsn), 0);
/** No one has to wait in these tests. */
const clock = { ...systemClock, after: (_: number, then: () => void) => systemClock.after(0, then) };

describe('where a capture goes on', () => {
  let directory: string;
  beforeEach(async () => void (directory = await mkdtemp(join(tmpdir(), 'sluice-start-'))));
  afterEach(() => rm(directory, { recursive: true }));

  const noted: (readonly string[])[] = [];
  const noteRebuilds = async (lanes: readonly string[]) => void noted.push(lanes);
  beforeEach(() => void noted.splice(0));

  /** A spool of three segments, (100, 101] to (102, 103]; none if it is empty. */
  async function start(options: { empty?: boolean; epoch?: number; confirmedTo?: Position; loadedAt?: Position; readFence: (lane: string) => Promise<Position | undefined> }) {
    const log = await openSegmentLog({ directory, shard: pipeline.name });
    const builder = new SegmentBuilder(pipeline, { epoch: 1, from: at(100), seq: await log.next(7) });
    for (const lsn of [101n, 102n, 103n]) builder.transaction({ lsn, commitTimeMs: 1e12, events: [], canaryMs: 1e12 }).cut();
    if (!options.empty) await log.append(builder.segments);
    const { confirmedTo, loadedAt, readFence } = options;
    const { fences: _, ...found } = await captureStart({ pipeline, clock, log, epoch: options.epoch ?? 1, loadedAt, confirmedTo, readFence, noteRebuilds });
    return { ...found, after: found.after?.seq, tail: (await log.tail())?.seq };
  }

  test('at the tail', async () => {
    expect(await start({ readFence: async () => at(102) })).toEqual({ start: at(103), after: 9, reached: at(103), tail: 9 });
  });

  test.each([
    ['does not answer', () => new Promise<never>(() => {})],
    ['is away', () => Promise.reject(new Error('away'))],
    ['has no fence', () => Promise.resolve(undefined)],
  ])('E7, E20: at the tail, though a sink %s', async (_, ofClickhouse) => {
    const readFence = (lane: string) => (lane === 'enriched' ? ofClickhouse() : Promise.resolve(at(104)));
    expect(await start({ confirmedTo: at(90), readFence })).toMatchObject({ start: at(103), after: 9, reached: at(104) });
  });

  test('behind a load that is later than the spool', async () => {
    expect(await start({ loadedAt: at(200), readFence: async () => at(200) })).toMatchObject({ start: at(200), after: 9, reached: at(200) });
  });

  test('E5: an empty spool: at the sink that is furthest behind, once every one has said where it is', async () => {
    const fences: Record<string, Position> = { aggregate: at(105), external: at(104), enriched: at(106) };
    expect(await start({ empty: true, readFence: async (lane) => fences[lane] })).toMatchObject({ start: at(104), after: undefined, reached: at(106), tail: undefined });
    await expect(start({ empty: true, readFence: () => Promise.reject(new Error('away')) })).rejects.toThrow('away');
    await expect(start({ empty: true, readFence: async (lane) => (lane === 'external' ? undefined : at(104)) })).rejects.toThrow(/external cannot say how far it is/);
  });

  test('I4: a sink below the spool: there, if the source was not told to forget what is between; the spool is to be given up, but only once that is sure', async () => {
    const readFence = async (lane: string) => (lane === 'enriched' ? at(95) : at(103));
    expect(await start({ confirmedTo: at(96), readFence })).toMatchObject({ start: at(103), after: 9 });
    await rm(join(directory, pipeline.name), { recursive: true });
    expect(await start({ confirmedTo: at(95), readFence })).toEqual({ start: at(95), after: undefined, reached: at(103), startsOver: true, tail: 9 });
  });

  test('what sinks have said is told; a live structure counts for how far the stream was, and not for where it goes on', async () => {
    const log = await openSegmentLog({ directory, shard: pipeline.name });
    const readFence = async (lane: string) => ({ aggregate: at(105), external: at(104), enriched: at(106), live: lane === 'live' ? at(90) : undefined })[lane];
    const { start: from, reached, fences } = await captureStart({ pipeline, clock, log, epoch: 1, loadedAt: undefined, confirmedTo: undefined, readFence, noteRebuilds });
    expect([from, reached]).toEqual([at(104), at(106)]);
    expect(Object.fromEntries(fences)).toEqual({ aggregate: at(105), external: at(104), enriched: at(106), live: at(90) });
    expect(await start({ empty: true, readFence: async (lane) => (lane === 'live' ? at(200) : at(104)) })).toMatchObject({ start: at(104), reached: at(200) });
    expect(await start({ empty: true, readFence: (lane) => (lane === 'live' ? Promise.reject(new Error('away')) : Promise.resolve(at(104))) })).toMatchObject({ start: at(104), reached: at(104) });
  });

  test('E1: so it is if the spool is an old one, that others are beyond; nothing is known then of what was told of it', async () => {
    const log = await openSegmentLog({ directory, shard: pipeline.name });
    const readFence = (beyond: number) => (lane: string) => (lane === 'live' ? Promise.reject(new Error('away')) : Promise.resolve(at(beyond)));
    await start({ readFence: readFence(103) });
    expect(noted).toEqual([]);
    const asked = async (of: (lane: string) => Promise<Position | undefined>) => (await captureStart({ pipeline, clock, log, epoch: 1, loadedAt: undefined, confirmedTo: at(110), readFence: of, noteRebuilds })).fences;
    // what was told of one that is merely silent counts on; not of one that says it must be made anew
    expect((await asked(readFence(103))).has('live')).toBe(false);
    expect([...(await asked(async (lane) => (lane === 'live' ? undefined : at(103))))]).toContainEqual(['live', undefined]);
    const { fences } = await captureStart({ pipeline, clock, log, epoch: 1, loadedAt: undefined, confirmedTo: at(110), readFence: readFence(104), noteRebuilds });
    expect(noted).toEqual([['live']]);
    expect(Object.fromEntries(fences)).toEqual({ aggregate: at(104), external: at(104), enriched: at(104), live: undefined });
  });

  test.each([
    ['is away', () => Promise.reject(new Error('away'))],
    ['does not answer', () => new Promise<never>(() => {})],
  ])('E1: a live structure that %s is to be made anew if there is no spool that would tell what it was made of', async (_, ofLive) => {
    const readFence = (lane: string) => (lane === 'live' ? ofLive() : Promise.resolve(at(104)));
    await start({ empty: true, readFence });
    expect(noted).toEqual([['live']]);
    await start({ empty: true, readFence: async () => at(104) });
    await start({ readFence: (lane) => (lane === 'live' ? ofLive() : Promise.resolve(at(103))) });
    expect(noted).toHaveLength(1);
    // given up for a sink below it
    await rm(join(directory, pipeline.name), { recursive: true });
    expect(await start({ confirmedTo: at(95), readFence: (lane) => (lane === 'live' ? ofLive() : Promise.resolve(at(95))) })).toMatchObject({ startsOver: true });
    expect(noted).toHaveLength(2);
  });

  test('I4: a live structure of a later load than the state database knows is not waited for', async () => {
    await expect(start({ readFence: async (lane) => (lane === 'live' ? position(2, 50n, 0) : at(102)) })).rejects.toThrow(/state database knows of load 1 only/);
  });

  test.each([
    ['the spool is', at(104), {}],
    ['a sink is', position(2, 50n, 0), {}],
    ['a sink is, and the spool is empty,', position(2, 50n, 0), { empty: true }],
  ])('E1: %s of a later load than the state database knows', async (_, fence, more) => {
    const readFence = async () => fence;
    const epoch = parsePosition(fence).epoch - 1;
    await expect(start({ ...more, epoch, confirmedTo: at(90), readFence })).rejects.toThrow(/state database knows of load \d only. Was it restored/);
  });
});

test('E20: a lane that is to join counts by what is kept for it, wherever it was before, and whoever still moves it', () => {
  const told = new Map([['enriched', position(1, 9n, 0)], ['copy', position(1, 20n, 0)], ['again', position(1, 1n, 0)], ['new', undefined]]);
  const joining = new Map([['copy', position(1, 5n, 0)], ['again', position(1, 5n, 0)], ['new', position(1, 5n, 0)], ['live', null]]);
  expect([...countedFences(told, joining)]).toEqual([['enriched', position(1, 9n, 0)], ['copy', position(1, 5n, 0)], ['again', position(1, 5n, 0)], ['new', position(1, 5n, 0)]]);
});
