import { eventsTable } from '../../core/capture/assembler.ts';
import type { Vector } from '../../core/columns/vector.ts';
import { State, valueAt } from '../../core/columns/vector.ts';
import type { Position } from '../../core/position.ts';
import { comparePositions, positionAt } from '../../core/position.ts';
import type { Batch, Segment } from '../../core/segment.ts';
import { Operation, batchOf } from '../../core/segment.ts';
import { rowsWithin } from '../events-within.ts';
import { ConfigurationError } from '../sink.ts';
import { pickRows, pickWords } from '../../core/columns/pick-rows.ts';
import { isSameValue, storedVector } from './stored-value.ts';
import type { SinkTable } from './table.ts';

/** A run of rows to insert, [start, end) of the columns: images as they are, or tombstones, which have the sort key only. */
export type Piece = {
  readonly columns: ReadonlyMap<string, Vector>;
  readonly positions: Uint32Array;
  readonly deleted: 0 | 1;
  readonly start: number;
  readonly end: number;
};

/**
 * What the events of a segment in (from, to] do to a versioned table: after-images at their positions, and tombstones for
 * the sort keys that deletes and moves leave. The order of pieces does not matter, positions decide.
 */
export function piecesOf(segment: Segment, table: SinkTable, from: Position, to: Position): Piece[] {
  const pieces: Piece[] = [];
  const after = batchOf(segment, eventsTable, 'after');
  const before = batchOf(segment, eventsTable, 'before');
  if (after) {
    const [start, end] = rowsWithin(after, from, to);
    if (end > start) {
      const names = Object.keys(table.columns).filter((name) => after.columns.has(name));
      pieces.push({ columns: storedColumns(after, names, start, end), positions: after.positions, deleted: 0, start, end });
    }
  }
  if (before) pieces.push(...tombstones(before, after, table, from, to));
  return pieces;
}

function tombstones(before: Batch, after: Batch | undefined, { orderBy, name }: SinkTable, from: Position, to: Position): Piece[] {
  const [start, end] = rowsWithin(before, from, to);
  if (end === start) return [];
  const keys = storedColumns(before, orderBy, start, end);
  for (const [column, { states }] of keys) {
    const row = states?.subarray(start, end).findIndex((state) => state !== State.value) ?? -1;
    if (row >= 0) throw withoutOldRow(name, column, positionAt(before.positions, start + row));
  }
  const newKeys = after && storedColumns(after, orderBy, 0, 0);
  const gone: number[] = [];
  for (let row = start, partner = 0; row < end; row++) {
    if (before.operations[row] !== Operation.delete && after && newKeys) {
      while (partner < after.rows && comparePositions(after.positions, partner, before.positions, row) < 0) partner++;
      const isUnmoved = orderBy.every((column) => isSameValue(keys.get(column)!, row, newKeys.get(column)!, partner));
      if (isUnmoved) continue;
    }
    gone.push(row);
  }
  if (gone.length === 0) return [];
  const rows = Uint32Array.from(gone);
  const columns = new Map([...keys].map(([column, vector]) => [column, pickRows(vector, rows)]));
  return [{ columns, positions: pickWords(before.positions, rows, 4), deleted: 1, start: 0, end: rows.length }];
}

/** Only rows [start, end) are checked for fields that the source did not send. */
function storedColumns(batch: Batch, names: readonly string[], start: number, end: number): Map<string, Vector> {
  const columns = new Map<string, Vector>();
  for (const name of names) {
    const vector = batch.columns.get(name);
    if (!vector) throw new TypeError(`the ${batch.image} images of ${batch.table} have no column ${name}`);
    const unchanged = vector.states?.subarray(start, end).indexOf(State.unchanged) ?? -1;
    if (unchanged >= 0) throw withoutOldRow(batch.table, name, positionAt(batch.positions, start + unchanged));
    columns.set(name, storedVector(vector));
  }
  return columns;
}

function withoutOldRow(table: string, column: string, position: Position): ConfigurationError {
  return new ConfigurationError(`${table}: the source did not send column ${column} of the event at ${position}, so the row cannot be written. Type in the source database: ALTER TABLE ... REPLICA IDENTITY FULL`);
}

/** The days of a piece's rows, as the partitions they fall into; one entry a row. */
export function daysOf(piece: Piece, partitionBy: string): Int32Array {
  const vector = piece.columns.get(partitionBy)!;
  const days = new Int32Array(piece.end - piece.start);
  for (let row = piece.start; row < piece.end; row++) days[row - piece.start] = dayAt(vector, row);
  return days;
}

const microsecondsOfDay = 86_400_000_000;

function dayAt(vector: Vector, row: number): number {
  // A double is exact here: stored times end in 2299.
  if (vector.layout === 'int64') return Math.floor((vector.words[row * 2 + 1]! * 4294967296 + (vector.words[row * 2]! >>> 0)) / microsecondsOfDay);
  return valueAt(vector, row) as number;
}
