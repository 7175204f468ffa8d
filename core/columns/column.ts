import type { ColumnType, Vector } from './vector.ts';
import { State, valueAt } from './vector.ts';

/**
 * A column being written, a row after another, from the bytes that Postgres sends: a pgoutput field (a kind byte, then a
 * length and a value), a field of a binary COPY, or a text. Rows may be overwritten; storage is reused after `reset`.
 *
 * Every class reads its own binary kind inside `read`, in a method of its own, so that the engine sees one type there;
 * the rare kinds are here.
 * Protocol: https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html (TupleData)
 */
export abstract class Column {
  readonly type: ColumnType;
  /** A byte a row, see State. */
  states: Uint8Array;
  /** How many 'unchanged' fields were read since `reset`: the reader fills them from the old tuple. */
  unchanged = 0;

  constructor(type: ColumnType, capacity: number) {
    this.type = type;
    this.states = new Uint8Array(capacity);
  }

  /** Reads the field at `offset` of a TupleData into `row`, and returns the offset behind it. */
  abstract read(bytes: Buffer, offset: number, row: number): number;
  /** Takes the binary value in [start, end). */
  abstract binary(bytes: Buffer, start: number, end: number, row: number): void;
  /** Takes a value in Postgres' text format. Throws a TypeError if it is none. */
  abstract text(value: string, row: number): void;
  /** What was written, as a view: valid until the next write. */
  abstract vector(rows: number): Vector;
  /** Makes room for `rows` rows, keeping what is there. */
  abstract reserve(rows: number): void;

  /** Whether a row holds the same value as a row of a column of the same type. */
  equals(row: number, other: Column, otherRow: number): boolean {
    return valueAt(this.vector(row + 1), row) === valueAt(other.vector(otherRow + 1), otherRow);
  }

  reset(): void {
    this.unchanged = 0;
  }

  setNull(row: number): void {
    this.states[row] = State.null;
  }

  /** Reads a field of a binary COPY: a length, -1 for NULL, and the value. */
  readCopy(bytes: Buffer, offset: number, row: number): number {
    const length = int32(bytes, offset);
    const start = offset + 4;
    if (length < 0) {
      this.setNull(row);
      return start;
    }
    this.binary(bytes, start, start + length, row);
    return start + length;
  }

  protected statesOf(rows: number): Uint8Array | undefined {
    const states = this.states.subarray(0, rows);
    return states.includes(State.null) || states.includes(State.unchanged) ? states : undefined;
  }

  /** NULL, unchanged, and text where binary was hoped for. */
  protected readOther(bytes: Buffer, offset: number, row: number): number {
    const kind = bytes[offset];
    if (kind === Kind.null) {
      this.setNull(row);
      return offset + 1;
    }
    if (kind === Kind.unchanged) {
      this.states[row] = State.unchanged;
      this.unchanged++;
      this.setUnchanged(row);
      return offset + 1;
    }
    const start = offset + 5;
    const end = start + int32(bytes, offset + 1);
    if (kind === Kind.binary) this.binary(bytes, start, end, row);
    else if (kind === Kind.text) this.text(bytes.toString('utf8', start, end), row);
    else throw new TypeError(`pgoutput sent a field of unknown kind ${kind} for a ${this.type} column`);
    return end;
  }

  /** For columns whose storage must know of every row. */
  protected setUnchanged(_row: number): void {}

  protected growStates(rows: number): void {
    this.states = grown(this.states, rows);
  }
}

export const Kind = { null: 0x6e, unchanged: 0x75, text: 0x74, binary: 0x62 } as const;

export function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

type Growable = Uint8Array | Int16Array | Int32Array | Uint32Array | Float32Array | Float64Array;

/** The array itself if it has `length` elements, else a copy of at least twice the size. */
export function grown<A extends Growable>(array: A, length: number): A {
  if (array.length >= length) return array;
  const larger = new (array.constructor as new (length: number) => A)(Math.max(length, array.length * 2));
  larger.set(array);
  return larger;
}
