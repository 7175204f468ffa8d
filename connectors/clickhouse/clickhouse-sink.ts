import { killPoint } from '../../core/kill-point.ts';
import { rowSchema } from '../../core/define/row-schema.ts';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import type { LoadMark } from '../../core/backfill.ts';
import type { Position } from '../../core/position.ts';
import { origin, parsePosition, position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { eventsWithin, truncatesWithin } from '../events-within.ts';
import type { Applied, Sink } from '../sink.ts';
import { FenceMoved } from '../sink.ts';
import { ClickHouseRows } from './clickhouse-rows.ts';
import { classified } from './errors.ts';
import type { Piece } from './pieces.ts';
import { piecesOf } from './pieces.ts';
import { planInserts } from './plan-inserts.ts';
import type { SinkTable } from './table.ts';
import type { VersionedRows } from './versioned-rows.ts';

type Definition = Extract<SinkDefinition, { kind: 'clickhouse' }>;

/** The sink of a lane, on a server. */
export function clickhouseSink(pipeline: Pipeline, lane: string, definition: Definition, url: string): ClickHouseSink {
  const table = sinkTable(pipeline, definition);
  return new ClickHouseSink(lane, table, new ClickHouseRows(url, table, { pipeline: pipeline.name, lane }));
}

export function sinkTable(pipeline: Pipeline, { table, orderBy, partitionBy }: Definition): SinkTable {
  return { name: table, columns: rowSchema(pipeline), orderBy, partitionBy };
}

/**
 * Enriched rows in a ReplacingMergeTree, versioned by position. Idempotence comes from (sort key, position) alone; the
 * fence's compare-and-set is best effort, as what a second worker repeats changes nothing (E10).
 */
export class ClickHouseSink implements Sink {
  readonly #rows: VersionedRows;
  readonly #table: SinkTable;
  readonly #lane: string;
  #target: string | undefined;
  /** Identities of the tables that what was loaded may have gone to. */
  readonly #loaded = new Set<string>();

  constructor(lane: string, table: SinkTable, rows: VersionedRows) {
    this.#lane = lane;
    this.#table = table;
    this.#rows = rows;
  }

  /** Makes the tables that are missing. Throws ConfigurationError if one is there that cannot hold the rows. */
  create(): Promise<void> {
    return this.#classified(() => this.#rows.create());
  }

  readFence(): Promise<Position | undefined> {
    return this.#classified(() => this.#presentFence());
  }

  apply(segments: readonly Segment[], from: Position, to: Position): Promise<Applied> {
    return this.#classified(async () => {
      const pieces = segments.flatMap((segment) => piecesOf(segment, this.#table, from, to));
      const truncates = truncatesWithin(segments, from, to);
      const isMoved = await this.#buryingIfItFails(from, async () => {
        await this.#insertAll(pieces);
        return truncates.length === 0 && this.#moved(from, to);
      });
      const applied = { events: eventsWithin(segments, from, to) };
      if (isMoved) return applied;
      const found = await this.#settled(from);
      // it was not said; if another has moved it, the next apply is told
      if (isMoved === undefined && found === to) return applied;
      if (found !== from) throw new FenceMoved(this.#lane, from, found);
      // Rows above a truncate are there already, and it does not concern them: it buries what is below its position.
      for (const truncate of truncates) await this.#rows.bury(truncate.position);
      killPoint('clickhouse/inserted');
      await this.#rows.writeFence(await this.#identity(), to);
      return applied;
    });
  }

  load(chunk: Segment): Promise<void> {
    return this.#classified(async () => {
      const { to } = chunk.header;
      this.#loaded.add(await this.#rows.target());
      await this.#buryingIfItFails(to, () => this.#insertAll(piecesOf(chunk, this.#table, origin, last)));
      const found = await this.#settled(to);
      this.#loaded.add(await this.#identity());
      if (found !== undefined && parsePosition(found).epoch > parsePosition(to).epoch) throw new FenceMoved(this.#lane, to, found);
    });
  }

  /** An event that the fence has passed already, at its own position: a newer version of the row wins, whenever it came. */
  replay(event: Segment): Promise<void> {
    return this.load(event);
  }

  /** Tombstones at `at`, where the table was truncated, for what may have landed below it since (E8). */
  bury(at: Position): Promise<void> {
    return this.#classified(() => this.#rows.bury(at));
  }

  /**
   * After the rows of a snapshot that have an event time in a range were loaded and marked, and the lane has passed it: what is
   * there besides is not in the source any more. `time` is the column of the event time. False: the table was set back
   * meanwhile, so what was loaded may be missing too. Throws FenceMoved if somebody loads from a later snapshot.
   */
  buryMissing(time: string, range: PaneRange, at: Position, mark: LoadMark): Promise<boolean> {
    return this.#classified(async () => {
      const found = await this.#rows.buryWithin(await this.#rows.target(), { time, range, mark }, at);
      if (found !== undefined && found > mark.at) throw new FenceMoved(`${this.#lane}, backfill`, mark.at, found);
      return found === mark.at;
    });
  }

  /** The identity of the table that has the name now. */
  target(): Promise<string> {
    return this.#classified(() => this.#rows.target());
  }

  /** Of rows that were loaded; a greater one each time. `target`: the table that they were loaded into, if it must be that one. */
  mark(mark: LoadMark, target?: string): Promise<void> {
    return this.#classified(async () => this.#rows.writeMark(target ?? (await this.#rows.target()), mark));
  }

  /** Beside a stream, as a rewrite, it is under the epoch of its lane and of attempts before: `finishRewrite` says why that is put on record. */
  finishLoad(loadedAt: Position): Promise<void> {
    return this.#classified(async () => {
      const target = await this.#rows.target();
      if ([...this.#loaded].some((each) => each !== target)) throw new Error(`table ${this.#table.name} in ClickHouse was made anew or exchanged while it was loaded: that begins once more`);
      await this.#rows.writeMark(target, { backfill: rewritten, at: loadedAt });
      await this.#rows.bury(loadedAt);
      await this.#rows.writeFence(target, loadedAt);
      // who wrote between these two saw no fence that would have told them
      await this.#rows.bury(loadedAt);
    });
  }

  /** Throws if the table is not `target` with all that was marked so far: it was dropped, exchanged or set back. */
  assertMarked(target: string, { backfill, at }: LoadMark): Promise<void> {
    return this.#classified(async () => {
      const found = (await this.#rows.target()) === target ? await this.#rows.readMark(target, backfill) : undefined;
      if (found === undefined || found < at) throw new Error(`table ${this.#table.name} in ClickHouse was made anew or set back while the rows of lane ${this.#lane} were written again: that begins once more`);
    });
  }

  /**
   * After all rows of a snapshot at `at` were loaded into `target` and marked: what is there besides is gone, and the fence is
   * there, of that table and no other. Under the same epoch nothing tells a worker that stood still that its rows are older than
   * the load, so that is put on record before the fence, which is what makes the worker look.
   */
  async finishRewrite(target: string, mark: LoadMark, at: Position): Promise<void> {
    await this.assertMarked(target, mark);
    await this.#classified(async () => {
      await this.#rows.writeMark(target, { backfill: rewritten, at });
      await this.#rows.bury(at);
    });
    // that may take long
    await this.assertMarked(target, mark);
    await this.#classified(async () => {
      await this.#rows.writeFence(target, at);
      // who wrote between these two saw no fence that would have told them
      await this.#rows.bury(at);
    });
    // it may have been another table's rows that were buried
    await this.assertMarked(target, mark);
  }

  async close(): Promise<void> {
    await this.#rows.close();
  }

  async #insertAll(pieces: readonly Piece[]): Promise<void> {
    for (const insert of planInserts(pieces, this.#table.partitionBy)) await this.#rows.insert(insert);
  }

  /** Some of the rows may have landed all the same. */
  async #buryingIfItFails<T>(written: Position, insert: () => Promise<T>): Promise<T> {
    try {
      return await insert();
    } catch (error) {
      await this.#settled(written);
      throw error;
    }
  }

  /** The usual end of an apply. False: the fence is elsewhere, or the table another one, or none was seen yet; undefined: nobody says. */
  async #moved(from: Position, to: Position): Promise<boolean | undefined> {
    if (this.#target === undefined) return false;
    killPoint('clickhouse/inserted');
    return this.#rows.moveFence(this.#target, from, to);
  }

  /** Returns the fence as it is after an insert: a later load may have come and gone while the rows were on their way. */
  async #settled(written: Position): Promise<Position | undefined> {
    const found = await this.#presentFence();
    await this.#buryOlderThan(found, written);
    return found;
  }

  /** Of the table that has the name now: it may have been dropped and made again. */
  async #presentFence(): Promise<Position | undefined> {
    this.#target = await this.#rows.target();
    return this.#rows.readFence(this.#target);
  }

  /**
   * After rows at `written` were inserted: if a later load has finished meanwhile (the worker stood still), they may have
   * brought back what that load did not find any more. Every row that lives has a position of the fence's epoch, and not
   * one below the snapshot that all rows were written again from.
   */
  async #buryOlderThan(fence: Position | undefined, written: Position): Promise<void> {
    if (fence === undefined || fence <= written) return;
    const { epoch } = parsePosition(fence);
    if (epoch > parsePosition(written).epoch) return this.#rows.bury(position(epoch, 0n, 0));
    const least = await this.#rows.readMark(await this.#identity(), rewritten);
    if (least !== undefined && least > written) await this.#rows.bury(least);
  }

  async #identity(): Promise<string> {
    this.#target ??= await this.#rows.target();
    return this.#target;
  }

  #classified<T>(work: () => Promise<T>): Promise<T> {
    return classified(this.#table.name, work);
  }
}

/** The mark of the last snapshot that all rows were written from. */
const rewritten = 'rewritten';

const last = 'f'.repeat(32) as Position;
