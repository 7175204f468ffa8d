import type { AssembledSegment, TableWriters } from './capture/assembler.ts';
import { SegmentAssembler, eventsTable } from './capture/assembler.ts';
import { DimensionStore } from './capture/dimension-store.ts';
import { beforeColumns } from './define/before-columns.ts';
import type { Pipeline } from './pipeline.ts';
import type { Position } from './position.ts';
import { encodeSegment, openSegment } from './segment-file.ts';
import type { Segment } from './segment.ts';

/** A row as Postgres texts; null or absent is NULL. */
export type TextRow = Readonly<Record<string, string | null>>;

export type PlainEvent =
  | { readonly op: 'insert'; readonly table?: string; readonly row: TextRow }
  | { readonly op: 'update'; readonly table?: string; readonly old: TextRow; readonly row: TextRow }
  | { readonly op: 'delete'; readonly table?: string; readonly old: TextRow }
  | { readonly op: 'truncate'; readonly table?: string };

export type PlainTransaction = {
  readonly lsn: bigint;
  readonly commitTimeMs: number;
  readonly events: readonly PlainEvent[];
  /** Idle clock of a canary, milliseconds since 1970. */
  readonly canaryMs?: number;
};

/**
 * A stream of plain transactions through the real assembler, for tests and simulation: the same numbering, joins, clocks
 * and cuts as a capture's, from rows instead of bytes. The table of an event is 'events' unless it says otherwise.
 */
export class SegmentBuilder {
  readonly #assembler: SegmentAssembler;
  readonly segments: Segment[] = [];

  constructor(pipeline: Pipeline, options: { epoch: number; from: Position; seq?: number; shard?: string; dimensions?: ReadonlyMap<string, DimensionStore> }) {
    const dimensions = options.dimensions ?? new Map(Object.entries(pipeline.source.dimensions).map(([name, table]) => [name, new DimensionStore(table)]));
    this.#assembler = new SegmentAssembler({
      pipeline,
      shard: options.shard ?? pipeline.name,
      captureId: 'test',
      epoch: options.epoch,
      from: options.from,
      seq: options.seq ?? 1,
      beforeColumns: beforeColumns(pipeline),
      dimensions,
    });
  }

  /** `cutBefore`: cut the segment before this event of the transaction, as a capture does when a segment is full. */
  transaction(transaction: PlainTransaction, cutBefore: ReadonlySet<number> = new Set()): this {
    const assembler = this.#assembler;
    assembler.begin(Number(transaction.lsn >> 32n), Number(transaction.lsn & 0xffffffffn), transaction.commitTimeMs * 1000);
    transaction.events.forEach((event, index) => {
      if (cutBefore.has(index)) this.#take(assembler.makeRoom(true));
      this.#event(event);
    });
    if (transaction.canaryMs !== undefined) assembler.canary(transaction.canaryMs * 1000);
    assembler.commit(transaction.lsn + 8n);
    return this;
  }

  /** Ends the running segment. */
  cut(): this {
    if (this.#assembler.ready) this.#take(this.#assembler.cut());
    return this;
  }

  #event(event: PlainEvent): void {
    const assembler = this.#assembler;
    const table = assembler.tables.get(event.table ?? eventsTable);
    if (!table) throw new TypeError(`no table ${event.table}`);
    if (event.op === 'truncate') {
      assembler.truncated(table);
      return;
    }
    if (event.op !== 'insert') write(table.before, event.old);
    if (event.op !== 'delete') write(table.after, event.row);
    if (event.op === 'insert') assembler.inserted(table);
    else if (event.op === 'delete') assembler.deleted(table);
    else assembler.updated(table, event.old[table.key] !== event.row[table.key]);
    if (event.op !== 'delete' && table.name === eventsTable) assembler.clockRow();
  }

  #take(segment: AssembledSegment | undefined): void {
    if (!segment) return;
    this.segments.push(openSegment(encodeSegment(segment), { verify: true }));
    this.#assembler.release();
  }
}

/** One segment of whole transactions. */
export function buildSegment(pipeline: Pipeline, options: { epoch: number; from: Position; seq?: number; transactions: readonly PlainTransaction[] }): Segment {
  const builder = new SegmentBuilder(pipeline, options);
  for (const transaction of options.transactions) builder.transaction(transaction);
  return builder.cut().segments[0]!;
}

function write(writer: TableWriters['after'], row: TextRow): void {
  for (const [name, column] of writer.columns) {
    const value = row[name] ?? null;
    if (value === null) column.setNull(writer.rows);
    else column.text(value, writer.rows);
  }
}
