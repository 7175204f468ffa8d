import { describe, expect, test } from 'vitest';
import { Proxy } from '../../chaos/proxy.ts';
import type { CaptureResult } from '../../connectors/postgres/capture.ts';
import type { ColumnRecord, FoundColumns } from '../../connectors/postgres/column-watch.ts';
import { systemFiles, type Files } from '../../connectors/spool/files.ts';
import { planMigration } from '../../core/migration/plan.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { reshaped, type Shape } from '../../core/migration/shape.ts';
import { origin, parseLsn, parsePosition, positionAt } from '../../core/position.ts';
import { valueAt } from '../../core/columns/vector.ts';
import { batchOf } from '../../core/segment.ts';
import { throwAwayDatabase } from '../embedded/services.ts';
import { CapturedSource, until } from './captured-source.ts';

/** A stream whose source renames `viewed_at`, kept as it comes while nobody has decided. */
class Waiting {
  readonly stream: CapturedSource;
  readonly found: FoundColumns[] = [];
  shape: Shape = {};
  readonly #unshaped: Pipeline;

  constructor(stream: CapturedSource) {
    this.stream = stream;
    this.#unshaped = stream.pipeline;
    stream.columns = this.#record(0);
  }

  #record(number: number): ColumnRecord {
    const { found, shape } = this;
    return { shape: { number, columns: shape }, known: undefined, keep: async () => {}, concerns: (changes) => planMigration(this.#unshaped, shape, changes).verdict !== 'nothing', record: async (change) => found.push(change) };
  }

  /** What the newest change makes of it. */
  approve(): void {
    const { stream } = this;
    const { approve } = planMigration(this.#unshaped, this.shape, this.found.at(-1)!.changes);
    if (!approve.possible) throw new Error(approve.why.join());
    this.shape = approve.shape;
    stream.columns = this.#record(this.found.length);
    stream.pipeline = reshaped(this.#unshaped, approve.shape);
  }

  /** So many rows, and before the last one the change that waits. */
  async rename(rows: number): Promise<void> {
    const { source } = this.stream;
    await source.query('insert into post_views (id, viewed_at) select g, now() from generate_series(1, $1::int) g', [rows - 1]);
    await source.query('alter table post_views rename column viewed_at to seen_at');
    await source.query('insert into post_views (id, seen_at) values ($1, now())', [rows]);
    const { reason, events } = await this.stream.capture();
    if (reason !== 'changed' || events !== rows - 1) throw new Error(`the capture ended as ${reason}, after ${events} events`);
  }

  /** A capture that reads it so. */
  async decided(during: () => Promise<void>): Promise<CaptureResult> {
    this.approve();
    return this.stream.capture(during);
  }

  /** How many messages of the newest transaction are kept; 0: all, or there is none. */
  async partKept(): Promise<number> {
    const { ordinal } = parsePosition((await this.stream.undecided.tail())?.to ?? origin);
    return ordinal === 0xffffffff ? 0 : ordinal;
  }

  async confirmed(): Promise<bigint> {
    const { rows } = await this.stream.source.query<{ lsn: string }>("select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = 'sluice_trending'");
    return parseLsn(rows[0]!.lsn);
  }

  async walEnd(): Promise<bigint> {
    const { rows } = await this.stream.source.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
    return parseLsn(rows[0]!.lsn);
  }

  /** The source has forgotten all that is committed now. */
  async untilConfirmed(): Promise<void> {
    const lsn = await this.walEnd();
    await until(async () => (await this.confirmed()) >= lsn, 'the slot has moved past what was kept', 60_000);
  }

  /** Ids of inserted and updated rows, in the stream's order, each position once. */
  async ids(): Promise<bigint[]> {
    const { stream } = this;
    const ids: bigint[] = [];
    let last = '';
    for (let after = stream.fence; ; ) {
      const segments = await stream.log.read(after, { maxRows: 1e6 }, AbortSignal.abort());
      if (segments.length === 0) return ids;
      for (const segment of segments) {
        const batch = batchOf(segment, 'events', 'after');
        for (let row = 0; row < (batch?.rows ?? 0); row++) {
          const at = positionAt(batch!.positions, row);
          if (at <= last) throw new Error(`position ${at} comes behind ${last}`);
          last = at;
          ids.push(valueAt(batch!.columns.get('id')!, row) as bigint);
        }
        after = segment.header.to;
      }
    }
  }
}

const most = 4 << 20;

async function waiting(url: string, settings: Parameters<typeof CapturedSource.load>[1] = {}, files?: Files): Promise<Waiting> {
  return new Waiting(await CapturedSource.load(url, { maxSlotLagBytes: most, ...settings }, files));
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => BigInt(from + index));

describe('what comes while a change of columns waits for a decision', () => {
  test('is kept as it came, the source may forget it, and it is read as it was decided, once', async () => {
    await using database = await throwAwayDatabase();
    const change = await waiting(database.url);
    await using stream = change.stream;
    const { source } = stream;
    const insert = (column: string, from: number, to: number) => source.query(`insert into post_views (id, ${column}) select g, now() from generate_series(${from}::int, ${to}::int) g`);
    // in the midst of a transaction
    await source.query('begin');
    await insert('viewed_at', 1, 100);
    await source.query('alter table post_views rename column viewed_at to seen_at');
    await insert('seen_at', 101, 200);
    await source.query('commit');
    const changed = await stream.capture();
    expect(changed).toMatchObject({ reason: 'changed', change: 1, events: 100 });

    expect(await stream.spoolUndecided(async () => {
      for (let from = 201; from < 10_201; from += 1_000) await insert('seen_at', from, from + 999);
      await stream.writeWal(8);
      await change.untilConfirmed();
    })).toBe('stopped');
    expect((await stream.log.tail())!.to).toBe(changed.position);
    expect(stream.shard.confirmed!.to > changed.position).toBe(true);
    // whoever goes on keeping it goes on where it ended
    await stream.spoolUndecided(async () => {
      await insert('seen_at', 10_201, 10_300);
      await stream.writeWal(8);
      await change.untilConfirmed();
    });
    await insert('seen_at', 10_301, 10_400);
    expect(await change.decided(() => stream.untilSpooled())).toMatchObject({ reason: 'stopped', events: 10_300 });
    expect(await change.ids()).toEqual(numbers(1, 10_400));
    // and then everything is as ever
    expect(await stream.capture(async () => {
      await insert('seen_at', 10_401, 10_500);
      await stream.untilSpooled();
      stream.lanesFollow();
      await until(async () => parsePosition(stream.shard.confirmed!.to).lsn >= parsePosition(stream.fence).lsn, 'what lanes have is confirmed');
    })).toMatchObject({ reason: 'stopped', events: 100 });
  }, 120_000);

  test('goes on in a transaction that is larger than a segment where connections were lost', { timeout: 180_000 }, async () => {
    await using database = await throwAwayDatabase();
    await using stack = new AsyncDisposableStack();
    const url = new URL(database.url);
    const way = await Proxy.listen(0, { host: url.hostname, port: Number(url.port) });
    stack.defer(() => way.close());
    const change = await waiting(database.url, { segmentBytes: 64 << 10 });
    await using stream = change.stream;
    stream.way = Object.assign(url, { port: way.port }).href;
    await change.rename(10);
    await stream.source.query('insert into post_views (id, seen_at) select g, now() from generate_series(11, 100000) g');
    // of some nine megabytes, no connection gets the end
    for (const bytes of [1 << 20, 4 << 20]) {
      const before = await change.partKept();
      way.set({ tag: 'hold', what: 'answers', afterBytes: bytes });
      const keeping = stream.spoolUndecided(async () => {
        await until(async () => (await change.partKept()) > before, 'a part is kept');
        way.cut();
        await new Promise(() => {});
      });
      await expect(keeping).rejects.toThrow(/ECONNRESET|terminated|stream ended/);
      expect(await change.partKept()).toBeGreaterThan(before);
    }
    way.set({ tag: 'pass' });
    await stream.spoolUndecided(async () => {
      await stream.writeWal(8);
      await change.untilConfirmed();
    });
    expect(await change.partKept()).toBe(0);
    await change.decided(() => stream.untilSpooled());
    expect(await change.ids()).toEqual(numbers(1, 100_000));
  });

  test('another change in it is found where it is, and what follows that waits again; whoever ends in between goes on', async () => {
    await using database = await throwAwayDatabase();
    const change = await waiting(database.url);
    await using stream = change.stream;
    const { source } = stream;
    await change.rename(100);
    const insert = (column: string, from: number, to: number) => source.query(`insert into post_views (id, ${column}) select g, now() from generate_series(${from}::int, ${to}::int) g`);
    await stream.spoolUndecided(async () => {
      await insert('seen_at', 101, 200);
      await source.query('begin');
      await insert('seen_at', 201, 300);
      await source.query('alter table post_views rename column seen_at to looked_at');
      await insert('looked_at', 301, 400);
      await source.query('commit');
      await stream.writeWal(8);
      await change.untilConfirmed();
    });
    expect(await change.decided(() => new Promise(() => {}))).toMatchObject({ reason: 'changed', change: 2, events: 201 });
    await stream.spoolUndecided(async () => {
      await insert('looked_at', 401, 20_000);
      await stream.writeWal(8);
      await change.untilConfirmed();
    });
    await insert('looked_at', 20_001, 20_100);
    const tail = (await stream.log.tail())!.to;
    await change.decided(() => until(async () => (await stream.log.tail())!.to > tail, 'some of it is read'));
    await stream.capture(() => stream.untilSpooled());
    expect(await change.ids()).toEqual(numbers(1, 20_100));
  }, 180_000);

  test('that was lost is a gap, and nothing goes on behind it', async () => {
    await using database = await throwAwayDatabase();
    const change = await waiting(database.url);
    await using stream = change.stream;
    await change.rename(100);
    await stream.spoolUndecided(async () => {
      await stream.source.query('insert into post_views (id, seen_at) select g, now() from generate_series(101, 200) g');
      await stream.writeWal(8);
      await change.untilConfirmed();
    });
    await stream.undecided.startOver();
    await expect(change.decided(() => stream.untilSpooled())).rejects.toThrow(/was already told to forget everything up to .* The gap begins behind position/);
    await expect(stream.spoolUndecided(() => new Promise(() => {}))).rejects.toThrow(/was already told to forget/);
  }, 120_000);

  test('has one budget with the spool: when that is used up the source keeps the rest, and what is kept is read as lanes make room', async () => {
    await using database = await throwAwayDatabase();
    const change = await waiting(database.url, { spoolBudgetBytes: 300 << 10, segmentBytes: 32 << 10, maxSlotLagBytes: 1 << 20 });
    await using stream = change.stream;
    await change.rename(100);
    const insert = (from: number, to: number) => stream.source.query(`insert into post_views (id, seen_at) select g, now() from generate_series(${from}::int, ${to}::int) g`);
    let last = 100;
    let full = 0n;
    const isFull = () => (stream.undecidedProgress?.spoolBytes ?? 0) >= 300 << 10;
    await stream.spoolUndecided(async () => {
      for (; !isFull(); last += 500) await insert(last + 1, last + 500);
      full = await change.walEnd();
      await insert(last + 1, (last += 2_000));
    });
    expect(parsePosition((await stream.undecided.tail())!.to).lsn < full).toBe(true);
    let follows: NodeJS.Timeout | undefined;
    // as texts it takes twice the room
    change.approve();
    stream.pipeline = { ...stream.pipeline, settings: { ...stream.pipeline.settings, spoolBudgetBytes: 64 << 10 } };
    const { events } = await stream.capture(async () => {
      await until(() => (stream.progress?.spoolBytes ?? 0) >= 64 << 10, 'the spool is full of what was kept');
      // E20: lanes for whom it is full are let go only while it says so
      const { told } = stream;
      await until(() => stream.told > told + 2, 'that is told, though nothing comes', 10_000);
      expect(stream.progress!.slotLagBytes).toBeGreaterThan(0);
      follows = setInterval(() => stream.lanesFollow(), 50);
      await stream.untilSpooled(90_000);
    }).finally(() => clearInterval(follows));
    expect(events).toBe(last - 99);
  }, 180_000);

  test('E6: what another keeps and lets the source forget, while what was kept before is read, is read as well', async () => {
    await using database = await throwAwayDatabase();
    const written = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    let isSlow = false;
    const files: Files = {
      ...systemFiles,
      async write(path, bytes) {
        if (isSlow && bytes.length > 4_096 && !path.includes('undecided')) {
          begun.resolve();
          await written.promise;
        }
        return systemFiles.write(path, bytes);
      },
    };
    const change = await waiting(database.url, { segmentBytes: 64 << 10 }, files);
    await using stream = change.stream;
    await change.rename(100);
    const insert = (from: number, to: number) => stream.source.query(`insert into post_views (id, seen_at) select g, now() from generate_series(${from}::int, ${to}::int) g`);
    const keep = (from: number, to: number) => stream.spoolUndecided(async () => {
      await insert(from, to);
      await stream.writeWal(8);
      await change.untilConfirmed();
    });
    await keep(101, 5_000);
    isSlow = true;
    const reading = change.decided(() => stream.untilSpooled()).then(String, String);
    await begun.promise;
    // a worker of before, which has stood still since it looked
    expect(await keep(5_001, 5_100)).toBe('stopped');
    isSlow = false;
    written.resolve();
    expect(await reading).toMatch(/another capture of pipeline trending has let its source forget more/);
    await stream.capture(() => stream.untilSpooled());
    expect(await change.ids()).toEqual(numbers(1, 5_100));
  }, 120_000);

  test('E3: is kept by one at a time, and by nobody once it is read', async () => {
    await using database = await throwAwayDatabase();
    const change = await waiting(database.url);
    await using stream = change.stream;
    await change.rename(100);
    const isKept = async (count: number) => {
      const { seq } = (await stream.undecided.tail()) ?? { seq: -1 };
      return async () => ((await stream.undecided.tail())?.seq ?? -1) >= seq + count;
    };
    const first = stream.spoolUndecided(() => new Promise(() => {}));
    const outcome = first.catch((error: unknown) => error);
    await until(await isKept(1), 'the first has begun');
    expect(await stream.spoolUndecided(async () => {
      await stream.source.query('insert into post_views (id, seen_at) select g, now() from generate_series(101, 200) g');
      await until(await isKept(2), 'it is kept');
    })).toBe('stopped');
    // its walsender was ended, or its next append lost
    expect(await outcome).toSatisfy((end: unknown) => end === 'superseded' || end instanceof Error);
    await change.decided(() => stream.untilSpooled());
    expect(await change.ids()).toEqual(numbers(1, 200));
  }, 120_000);
});
