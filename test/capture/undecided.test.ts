import { describe, expect, test } from 'vitest';
import type { ColumnRecord, FoundColumns } from '../../connectors/postgres/column-watch.ts';
import { planMigration } from '../../core/migration/plan.ts';
import { reshaped, type Shape } from '../../core/migration/shape.ts';
import { parseLsn, parsePosition, positionAt } from '../../core/position.ts';
import { valueAt } from '../../core/columns/vector.ts';
import { batchOf } from '../../core/segment.ts';
import { throwAwayDatabase } from '../embedded/services.ts';
import { CapturedSource, until } from './captured-source.ts';

/** A stream whose source renames `viewed_at`, kept as it comes while nobody has decided. */
class Waiting {
  readonly stream: CapturedSource;
  readonly found: FoundColumns[] = [];
  shape: Shape = {};

  constructor(stream: CapturedSource) {
    this.stream = stream;
    stream.columns = this.#record(0);
  }

  #record(number: number): ColumnRecord {
    const { found, shape } = this;
    const { pipeline } = this.stream;
    return { shape: { number, columns: shape }, known: undefined, keep: async () => {}, concerns: (changes) => planMigration(pipeline, shape, changes).verdict !== 'nothing', record: async (change) => found.push(change) };
  }

  /** What the newest change makes of it. */
  approve(): void {
    const { stream } = this;
    const { approve } = planMigration(stream.pipeline, this.shape, this.found.at(-1)!.changes);
    if (!approve.possible) throw new Error(approve.why.join());
    this.shape = approve.shape;
    stream.columns = this.#record(this.found.length);
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
          expect(at > last).toBe(true);
          last = at;
          ids.push(valueAt(batch!.columns.get('id')!, row) as bigint);
        }
        after = segment.header.to;
      }
    }
  }
}

const most = 4 << 20;

async function waiting(url: string, settings: Parameters<typeof CapturedSource.load>[1] = {}): Promise<Waiting> {
  return new Waiting(await CapturedSource.load(url, { maxSlotLagBytes: most, ...settings }));
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
    change.approve();
    stream.pipeline = reshaped(stream.pipeline, change.shape);
    expect(await stream.capture(() => stream.untilSpooled())).toMatchObject({ reason: 'stopped', events: 10_300 });
    expect(await change.ids()).toEqual(numbers(1, 10_400));
    // and then everything is as ever
    expect(await stream.capture(async () => {
      await insert('seen_at', 10_401, 10_500);
      await stream.untilSpooled();
      stream.lanesFollow();
      await until(async () => parsePosition(stream.shard.confirmed!.to).lsn >= parsePosition(stream.fence).lsn, 'what lanes have is confirmed');
    })).toMatchObject({ reason: 'stopped', events: 100 });
  }, 120_000);
});
