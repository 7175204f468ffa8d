import type { AssembledSegment, SegmentAssembler, TableWriters } from '../../../core/capture/assembler.ts';
import { eventsTable } from '../../../core/capture/assembler.ts';
import { fieldOffset } from '../../../core/capture/tuple-plan.ts';
import { int32 } from '../../../core/columns/column.ts';
import { State } from '../../../core/columns/vector.ts';
import { loadAnew } from '../../../core/load-anew.ts';
import type { Pipeline } from '../../../core/pipeline.ts';
import { ConfigurationError } from '../../sink.ts';
import type { KnownColumns, RelationPlan } from './relation.ts';
import { planRelation, readRelation } from './relation.ts';

/**
 * Reads pgoutput messages (protocol 1, no streaming, no two-phase) straight into the assembler's columns.
 * https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html
 */
export class PgoutputDecoder {
  readonly #assembler: SegmentAssembler;
  readonly #options: DecoderOptions;
  readonly #tables: ReadonlyMap<string, TableWriters>;
  /** By relation id; undefined: not a table of this pipeline. */
  readonly #relations = new Map<number, RelationPlan | undefined>();
  #pendingBytes = 0;

  constructor(assembler: SegmentAssembler, options: DecoderOptions) {
    this.#assembler = assembler;
    this.#options = options;
    const { events, dimensions } = options.pipeline.source;
    this.#tables = new Map([
      [events.relation, assembler.tables.get(eventsTable)!],
      ...Object.entries(dimensions).map(([name, schema]) => [schema.relation, assembler.tables.get(name)!] as const),
    ]);
  }

  /** One message in [start, end); `walStart` is where its record begins: high and low word. Throws ConfigurationError, or SchemaChanged before the first row that it cannot read. */
  message(bytes: Buffer, start: number, end: number, walHigh: number, walLow: number): void {
    switch (bytes[start]) {
      case Message.insert:
        this.#row(bytes, start, end, walHigh, walLow, Message.insert);
        return;
      case Message.update:
        this.#row(bytes, start, end, walHigh, walLow, Message.update);
        return;
      case Message.delete:
        this.#row(bytes, start, end, walHigh, walLow, Message.delete);
        return;
      case Message.begin:
        this.#assembler.begin(int32(bytes, start + 1) >>> 0, int32(bytes, start + 5) >>> 0, microseconds(bytes, start + 9));
        return;
      case Message.commit:
        this.#assembler.commit(bytes.readBigUInt64BE(start + 10));
        return;
      case Message.relation:
        this.#relation(bytes, start + 1);
        return;
      case Message.truncate:
        this.#truncate(bytes, start);
        return;
      case Message.logical:
        this.#logical(bytes, start);
        return;
      case Message.origin:
      case Message.type:
        return;
      default:
        throw new TypeError(`pgoutput sent a message of unknown type ${String.fromCharCode(bytes[start]!)}`);
    }
  }

  /** Wire bytes since the last cut. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  cutDone(): void {
    this.#pendingBytes = 0;
  }

  #row(bytes: Buffer, start: number, end: number, walHigh: number, walLow: number, kind: number): void {
    const plan = this.#relations.get(int32(bytes, start + 1));
    if (plan === undefined) {
      if (!this.#relations.has(int32(bytes, start + 1))) throw new TypeError(`pgoutput sent a row of relation ${int32(bytes, start + 1)} before the relation`);
      return;
    }
    const { pipeline } = this.#options;
    const { table } = plan;
    if (plan.changed !== undefined && this.#assembler.takesNext) throw plan.changed;
    const full = table.after.rows >= pipeline.settings.segmentRows || table.before.rows >= pipeline.settings.segmentRows || this.#pendingBytes >= pipeline.settings.segmentBytes;
    if (full) {
      const segment = this.#assembler.makeRoom(true);
      if (segment) this.#options.emit(segment);
    }
    this.#pendingBytes += end - start;

    const assembler = this.#assembler;
    if (kind === Message.insert) {
      plan.after(bytes, start + 8, table.after.rows);
      assembler.inserted(table);
    } else if (kind === Message.update) this.#update(bytes, start + 5, plan);
    else {
      this.#old(bytes, start + 5, plan);
      assembler.deleted(table);
    }
    if (table.name === eventsTable && kind !== Message.delete) assembler.clockRow();
    assembler.eventLsn(walHigh, walLow);
  }

  #update(bytes: Buffer, start: number, plan: RelationPlan): void {
    const { table } = plan;
    const row = table.after.rows;
    const oldTuple = start + 3;
    const newKind = this.#old(bytes, start, plan);
    plan.after(bytes, newKind + 3, row);
    if (table.after.hasUnchanged()) this.#fillUnchanged(bytes, oldTuple, plan);
    this.#assembler.updated(table, keyChanged(table));
  }

  /** Reads the old tuple at `start` into `before` and returns the offset behind it. */
  #old(bytes: Buffer, start: number, plan: RelationPlan): number {
    const { table } = plan;
    if (bytes[start] !== Tuple.old) {
      throw new ConfigurationError(
        `Table ${this.#relationName(table)} sent an update or delete without its whole old row. A table that is declared appendOnly must only have inserts; otherwise type in the source: ALTER TABLE ${this.#relationName(table)} REPLICA IDENTITY FULL; The change itself stays without its old row, however often it is read. ${loadAnew(this.#options.pipeline.name)}`,
      );
    }
    return plan.before(bytes, start + 3, table.before.rows);
  }

  /** A large value that an update did not touch is not sent again; under FULL the old tuple has it. */
  #fillUnchanged(bytes: Buffer, oldTuple: number, plan: RelationPlan): void {
    const { after } = plan.table;
    for (const [name, column] of after.columns) {
      if (column.states[after.rows] !== State.unchanged) continue;
      column.read(bytes, fieldOffset(bytes, oldTuple, plan.fieldOf.get(name)!), after.rows);
    }
    for (const column of after.list) column.unchanged = 0;
  }

  #relation(bytes: Buffer, start: number): void {
    const { id, relation } = readRelation(bytes, start);
    const table = this.#tables.get(relation.name);
    this.#relations.set(id, table && planRelation(relation, this.#schema(table), table, this.#options));
  }

  #truncate(bytes: Buffer, start: number): void {
    const count = int32(bytes, start + 1);
    for (let i = 0; i < count; i++) {
      const plan = this.#relations.get(int32(bytes, start + 6 + i * 4));
      if (plan?.changed !== undefined && this.#assembler.takesNext) throw plan.changed;
      if (plan) this.#assembler.truncated(plan.table);
    }
  }

  #logical(bytes: Buffer, start: number): void {
    const prefixEnd = bytes.indexOf(0, start + 10);
    if (bytes.toString('utf8', start + 10, prefixEnd) !== canaryPrefix(this.#options.pipeline.name)) return;
    const length = int32(bytes, prefixEnd + 1);
    const clock = Number(bytes.toString('utf8', prefixEnd + 5, prefixEnd + 5 + length));
    this.#assembler.canary(Number.isFinite(clock) && clock > 0 ? clock : Number.NEGATIVE_INFINITY);
  }

  #schema(table: TableWriters) {
    const { events, dimensions } = this.#options.pipeline.source;
    return table.name === eventsTable ? events : dimensions[table.name]!;
  }

  #relationName(table: TableWriters): string {
    return this.#schema(table).relation;
  }
}

export type DecoderOptions = KnownColumns & {
  readonly pipeline: Pipeline;
  /** Takes a segment that was cut because it is full; the assembler is released when it returns. */
  readonly emit: (segment: AssembledSegment) => void;
};

/** The prefix of a pipeline's canary messages. */
export function canaryPrefix(pipeline: string): string {
  return `sluice:${pipeline}`;
}

function keyChanged({ key, after, before }: TableWriters): boolean {
  return !after.columns.get(key)!.equals(after.rows, before.columns.get(key)!, before.rows);
}

/** Postgres' microseconds since 2000 as microseconds since 1970; exact, for commit times are near today. */
function microseconds(bytes: Buffer, at: number): number {
  return int32(bytes, at) * 4294967296 + (int32(bytes, at + 4) >>> 0) + 946_684_800_000_000;
}

export const Message = {
  begin: 0x42,
  commit: 0x43,
  relation: 0x52,
  type: 0x59,
  origin: 0x4f,
  insert: 0x49,
  update: 0x55,
  delete: 0x44,
  truncate: 0x54,
  logical: 0x4d,
} as const;
const Tuple = { old: 0x4f } as const;

