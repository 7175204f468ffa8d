import type { Column } from '../columns/column.ts';
import { grown } from '../columns/column.ts';
import { makeColumn } from '../columns/make-column.ts';
import { State } from '../columns/vector.ts';
import type { Vector } from '../columns/vector.ts';
import type { Table } from '../pipeline.ts';
import type { Batch } from '../segment.ts';

/** A batch being written: reused from segment to segment. */
export class RowWriter {
  readonly table: string;
  readonly image: Batch['image'];
  readonly columns: ReadonlyMap<string, Column>;
  readonly list: readonly Column[];
  rows = 0;
  positions: Uint32Array;
  operations: Uint8Array;
  transactionEnds = new Uint32Array(64);
  capacity: number;

  constructor(table: string, image: Batch['image'], schema: Table, names: readonly string[], capacity: number) {
    this.table = table;
    this.image = image;
    this.columns = new Map(names.map((name) => [name, makeColumn(schema.columns[name]!, capacity)]));
    this.list = [...this.columns.values()];
    this.positions = new Uint32Array(capacity * 4);
    this.operations = new Uint8Array(capacity);
    this.capacity = capacity;
  }

  /** Keeps the row that was just read at place `rows`. */
  commit(epoch: number, lsnHigh: number, lsnLow: number, ordinal: number, operation: number): void {
    const at = this.rows * 4;
    this.positions[at] = ordinal;
    this.positions[at + 1] = lsnLow;
    this.positions[at + 2] = lsnHigh;
    this.positions[at + 3] = epoch;
    this.operations[this.rows] = operation;
    this.rows++;
    if (this.rows === this.capacity) this.#grow();
  }

  endTransaction(index: number): void {
    this.transactionEnds = grown(this.transactionEnds, index + 1);
    this.transactionEnds[index] = this.rows;
  }

  /** Columns of the row just read that the source did not send, because their large values did not change. */
  unchanged(): Column[] {
    return this.list.filter((column) => column.unchanged > 0 && column.states[this.rows] === State.unchanged);
  }

  hasUnchanged(): boolean {
    for (const column of this.list) if (column.unchanged > 0) return true;
    return false;
  }

  batch(transactions: number, extra: Iterable<readonly [string, Vector]> = []): Batch {
    const columns = new Map<string, Vector>();
    for (const [name, column] of this.columns) columns.set(name, column.vector(this.rows));
    for (const [name, vector] of extra) columns.set(name, vector);
    return {
      table: this.table,
      image: this.image,
      rows: this.rows,
      positions: this.positions.subarray(0, this.rows * 4),
      operations: this.operations.subarray(0, this.rows),
      transactionEnds: this.transactionEnds.subarray(0, transactions),
      columns,
    };
  }

  reset(): void {
    this.rows = 0;
    for (const column of this.list) column.reset();
  }

  #grow(): void {
    this.capacity *= 2;
    this.positions = grown(this.positions, this.capacity * 4);
    this.operations = grown(this.operations, this.capacity);
    for (const column of this.list) column.reserve(this.capacity);
  }
}
