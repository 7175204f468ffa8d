import { setImmediate } from 'node:timers/promises';
import type { Client } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { eventsTable, SegmentAssembler } from '../../core/capture/assembler.ts';
import { DimensionStore } from '../../core/capture/dimension-store.ts';
import { beforeColumns } from '../../core/define/before-columns.ts';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import { nameInSource, type Pipeline, type Table } from '../../core/pipeline.ts';
import { position } from '../../core/position.ts';
import { encodeSegment, openSegment } from '../../core/segment-file.ts';
import type { Segment } from '../../core/segment.ts';
import { copyTuples } from './copy-reader.ts';
import { leave } from './leave.ts';
import type { SnapshotSlot } from './snapshot-slot.ts';
import { assertColumns, columnsChanged, quote, quoteRelation } from './source-catalog.ts';

/** By relation, what `fileNodes` says of it. */
export type FileNodes = ReadonlyMap<string, string>;

export type SnapshotReaderOptions = {
  readonly pipeline: Pipeline;
  readonly epoch: number;
  /** Its settings are `textSettings`. Nobody else uses it meanwhile; after a failure, nobody can. */
  readonly source: Client;
  readonly slot: SnapshotSlot;
  /** From before the slot was made. */
  readonly files: FileNodes;
  /** The columns that rows are to be read from; undefined: nobody has looked since the load. */
  readonly known: SourceColumns | undefined;
  /** Of the source (`sourceClockUs`): rows of a snapshot stand at its present, not at the worker's. */
  readonly commitTimeUs: number;
  readonly captureId: string;
  /** Of a segment; missing: as the pipeline's settings say. */
  readonly mostRows?: number;
  readonly signal: AbortSignal;
};

/** A part of a table. `only`: without the tables that inherit from it. `where`: a condition of SQL. */
export type Piece = { readonly relation: string; readonly only: boolean; readonly where: string };

/** Rows of a slot's snapshot as segments, at position (epoch, S, 0), enriched with the dimensions that were read before. */
export class SnapshotReader {
  readonly #options: SnapshotReaderOptions;
  readonly #assembler: SegmentAssembler;
  rows = 0;

  constructor(options: SnapshotReaderOptions) {
    const { pipeline, epoch, slot, captureId } = options;
    this.#options = options;
    this.#assembler = new SegmentAssembler({
      pipeline,
      shard: pipeline.name,
      captureId,
      epoch,
      from: position(epoch, slot.consistentPoint, 0),
      seq: 0,
      beforeColumns: beforeColumns(pipeline),
      dimensions: new Map(Object.entries(pipeline.source.dimensions).map(([name, table]) => [name, new DimensionStore(table)])),
      snapshot: true,
    });
  }

  /**
   * One piece of a table of the pipeline (a dimension's name, or `eventsTable`), in one short transaction on the snapshot
   * (E19): a long one would keep the user's DDL waiting. It lasts as long as whoever gets the segments takes for them.
   */
  async *read(name: string, { relation, only, where }: Piece): AsyncGenerator<Segment> {
    const { source, slot, pipeline } = this.#options;
    const writers = this.#assembler.tables.get(name)!;
    const table: Table = name === eventsTable ? pipeline.source.events : pipeline.source.dimensions[name]!;
    const columns = [...writers.after.columns];
    const from = `${only ? 'only ' : ''}${quoteRelation(relation)}`;
    const { signal } = this.#options;
    // whoever waits for rows does not see the signal
    const stop = () => void leave(source);
    signal.addEventListener('abort', stop, { once: true });
    let isWhole = false;
    try {
      await source.query('begin isolation level repeatable read read only');
      await source.query(`set transaction snapshot '${slot.snapshot}'`);
      await source.query(`lock table ${from} in access share mode`);
      if ((await fileNodes(source, relation)) !== this.#options.files.get(relation)) throw new TableRewritten(relation);
      await assertColumns(source, table, this.#options.known?.[name]);
      // concat, because a cast to text is not what Postgres puts out for every type; a composite of NULLs is no NULL
      const list = columns.map(([column]) => read(table, column)).join(', ');
      const stream = source.query(copyTo(`copy (select ${list} from ${from} where ${where}) to stdout (format binary)`));
      this.#begin();
      const { segmentRows, segmentBytes } = pipeline.settings;
      const mostRows = Math.min(segmentRows, this.#options.mostRows ?? segmentRows);
      let bytesRead = 0;
      let turnedMs = performance.now();
      for await (const { bytes, start } of copyTuples(stream)) {
        if (writers.after.rows >= mostRows || bytesRead >= segmentBytes) {
          yield* this.#cut();
          bytesRead = 0;
          this.#begin();
        }
        // rows come as fast as the socket gives them, and the stream's own are served by the same thread
        if (performance.now() - turnedMs >= turnMs) {
          await setImmediate();
          turnedMs = performance.now();
        }
        let at = start;
        for (const [, column] of columns) at = column.readCopy(bytes, at, writers.after.rows);
        bytesRead += at - start;
        this.#assembler.inserted(writers);
        if (name === eventsTable) this.#assembler.clockRow();
        this.rows++;
      }
      yield* this.#cut();
      await source.query('commit');
      isWhole = true;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      // renamed or dropped since the snapshot: names are looked up in the present
      throw (error as { code?: string }).code === undefinedColumn ? columnsChanged(table) : error;
    } finally {
      signal.removeEventListener('abort', stop);
      // not a ROLLBACK: a COPY that no one reads any more would never let it come to its turn
      if (!isWhole) void leave(source);
    }
  }

  #begin(): void {
    const { slot, commitTimeUs } = this.#options;
    this.#assembler.begin(Number(slot.consistentPoint >> 32n), Number(slot.consistentPoint & 0xffffffffn), commitTimeUs);
  }

  *#cut(): Generator<Segment> {
    this.#assembler.commit(this.#options.slot.consistentPoint);
    if (!this.#assembler.ready) return;
    const segment = openSegment(encodeSegment(this.#assembler.cut()), { verify: false });
    this.#assembler.release();
    if (this.#options.signal.aborted) throw this.#options.signal.reason;
    yield segment;
  }
}

/** A column as SQL, in the type that its place in rows has. */
function read(table: Table, column: string): string {
  const { type } = table.columns[column]!;
  const name = nameInSource(table, column);
  if (name === undefined) return `null::${type === 'other' ? 'text' : type}`;
  return type === 'other' ? `case when ${quote(name)} is distinct from null then concat(${quote(name)}) end` : quote(name);
}

const undefinedColumn = '42703';
const turnMs = 3;

/** Nothing of it can be read from an old snapshot any more: that would silently show no rows (E19). */
export class TableRewritten extends Error {
  override readonly name = 'TableRewritten';
  constructor(relation: string) {
    super(`table ${relation} was rewritten or truncated while it was read: its old snapshot cannot be read any more, so the reading starts over`);
  }
}

/** Other ones after a TRUNCATE or a rewriting ALTER, of the table or a partition. Undefined: there is no such table. */
export async function fileNodes(source: Client, relation: string): Promise<string | undefined> {
  const { rows } = await source.query<{ nodes: string | null }>(
    `select string_agg(relid::oid::text || ':' || coalesce(pg_relation_filenode(relid)::text, ''), ' ' order by relid::oid) as nodes
       from (select to_regclass($1) as relid union select relid from pg_partition_tree(to_regclass($1))) files`,
    [quoteRelation(relation)],
  );
  return rows[0]?.nodes ?? undefined;
}

/** Microseconds since 1970. */
export async function sourceClockUs(source: Client): Promise<number> {
  const { rows } = await source.query<{ us: string }>('select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as us');
  return Number(rows[0]!.us);
}
