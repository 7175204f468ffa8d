import { describe, expect, test } from 'vitest';
import { appendClaim } from '../../connectors/postgres/claim.ts';
import { sourceNames } from '../../connectors/postgres/source-catalog.ts';
import { throwAwayDatabase } from '../embedded/services.ts';
import { CapturedSource, until } from './captured-source.ts';

describe('between two steps a capture stands', () => {
  test('the next step goes on with its stream and its claim, and nothing is lost or twice', async () => {
    await using database = await throwAwayDatabase();
    await using stream = await CapturedSource.load(database.url);
    stream.stands = true;
    const readers = new Set<number | undefined>();
    const claimants = new Set<string>();
    for (let step = 1; step <= 4; step++) {
      const { events } = await stream.capture(async () => {
        await stream.insert(100);
        await stream.untilSpooled();
        readers.add(await reader(stream));
      });
      // this step's, and what came while nobody was at work
      expect(events).toBe(step === 1 ? 100 : 150);
      claimants.add(await claimant(stream));
      await stream.insert(50);
    }
    expect([...readers]).toEqual([expect.any(Number)]);
    expect(claimants.size).toBe(1);
    expect(await rowsSpooled(stream)).toBe(100 + 3 * 150);
  });

  test('a transaction that is under way when a step ends comes whole with the next one', async () => {
    await using database = await throwAwayDatabase();
    await using stream = await CapturedSource.load(database.url, { segmentRows: 1_000 });
    stream.stands = true;
    const rows = 600_000;
    await stream.insert(rows);
    const claimants: string[] = [];
    for (let done = 0; done < rows; claimants.push(await claimant(stream))) {
      const { events } = await stream.capture(() => until(() => (stream.progress?.events ?? 0) > 0, 'a part of it is spooled'));
      done += events;
      stream.progress = undefined;
    }
    expect(claimants.length).toBeGreaterThan(1);
    expect(new Set(claimants).size).toBe(1);
    expect(await rowsSpooled(stream)).toBe(rows);
  });

  test('if no step follows, the slot is free after a moment', async () => {
    await using database = await throwAwayDatabase();
    await using stream = await CapturedSource.load(database.url);
    stream.stands = true;
    await stream.capture(() => stream.untilSpooled());
    expect(await reader(stream)).toEqual(expect.any(Number));
    await until(async () => (await reader(stream)) === undefined, 'nobody reads the slot', 5_000);
  });

  test('a stream that has ended meanwhile is replaced', async () => {
    await using database = await throwAwayDatabase();
    await using stream = await CapturedSource.load(database.url);
    stream.stands = true;
    await stream.capture(() => stream.untilSpooled());
    const first = await claimant(stream);
    await stream.source.query('select pg_terminate_backend($1, 5000)', [await reader(stream)]);
    await stream.insert(10);
    expect(await stream.capture(() => stream.untilSpooled())).toMatchObject({ reason: 'stopped', events: 10 });
    expect(await claimant(stream)).not.toBe(first);
    expect(await rowsSpooled(stream)).toBe(10);
  });

  test('what another capture has taken, it does not go on with (E3)', async () => {
    await using database = await throwAwayDatabase();
    await using stream = await CapturedSource.load(database.url);
    stream.stands = true;
    await stream.capture(() => stream.untilSpooled());
    const first = await claimant(stream);
    const tail = (await stream.log.tail())!;
    const { claim } = (await stream.log.lastClaim())!;
    expect(await appendClaim(stream.log, { captureId: 'another', claim: claim!, start: tail.to, after: tail, firstSeq: 1 })).toMatchObject({ captureId: 'another' });
    await stream.insert(10);
    expect(await stream.capture(() => stream.untilSpooled())).toMatchObject({ reason: 'stopped', events: 10 });
    expect(['another', first]).not.toContain(await claimant(stream));
    expect(await rowsSpooled(stream)).toBe(10);
  });

  test('when its claim has left the spool, it claims anew: the spool says which timeline it is of (E1)', async () => {
    await using database = await throwAwayDatabase();
    await using stream = await CapturedSource.load(database.url);
    stream.stands = true;
    await stream.capture(async () => {
      await stream.insert(10);
      await stream.untilSpooled();
    });
    const first = await claimant(stream);
    await stream.log.trim((await stream.log.tail())!.to, 0);
    expect(await stream.log.lastClaim()).toBeUndefined();
    await stream.insert(10);
    expect(await stream.capture(() => stream.untilSpooled())).toMatchObject({ reason: 'stopped', events: 10 });
    expect(await claimant(stream)).not.toBe(first);
  });

  test('what a step has asked for and its end leaves unanswered is no trouble of the next one', async () => {
    await using database = await throwAwayDatabase();
    await using stream = await CapturedSource.load(database.url);
    stream.stands = true;
    const unanswered = Promise.withResolvers<void>();
    stream.canary = () => unanswered.promise;
    await stream.capture(async () => {
      await stream.insert(5);
      await until(() => stream.progress?.events === 5, 'they are spooled');
    });
    const first = await claimant(stream);
    stream.canary = undefined;
    const second = await stream.capture(async () => {
      unanswered.reject(new Error('Connection terminated'));
      await stream.insert(10);
      await stream.untilSpooled();
    });
    expect(second).toMatchObject({ reason: 'stopped', events: 10 });
    expect(await claimant(stream)).toBe(first);
  });

  test('of a source that was set otherwise, or of a later load, it begins anew', async () => {
    await using database = await throwAwayDatabase();
    await using stream = await CapturedSource.load(database.url);
    stream.stands = true;
    await stream.capture(() => stream.untilSpooled());
    const first = await claimant(stream);
    stream.catalog = { keepBytes: 4 * 2 ** 30 };
    await stream.insert(10);
    await stream.capture(() => stream.untilSpooled());
    const second = await claimant(stream);
    expect(second).not.toBe(first);
    await stream.loadAnew();
    await stream.insert(5);
    expect(await stream.capture(() => stream.untilSpooled())).toMatchObject({ events: 5 });
    expect([first, second]).not.toContain(await claimant(stream));
  });
});

/** Who reads the slot; undefined: nobody. */
async function reader({ source, pipeline }: CapturedSource): Promise<number | undefined> {
  const { rows } = await source.query<{ pid: number | null }>('select active_pid as pid from pg_replication_slots where slot_name = $1', [sourceNames(pipeline.name).slot]);
  return rows[0]?.pid ?? undefined;
}

/** Which capture has claimed the spool last. */
async function claimant({ log }: CapturedSource): Promise<string> {
  return (await log.lastClaim())!.captureId;
}

/** Of the events' table, in the spool. */
async function rowsSpooled({ log }: CapturedSource): Promise<number> {
  const end = (await log.tail())!.to;
  let found = 0;
  for (let after = (await log.oldest())!.from; after < end; ) {
    const segments = await log.read(after, { maxRows: 10_000 }, new AbortController().signal);
    for (const { table, image, rows } of segments.flatMap(({ batches }) => batches)) if (table === 'events' && image === 'after') found += rows;
    after = segments.at(-1)!.header.to;
  }
  return found;
}
