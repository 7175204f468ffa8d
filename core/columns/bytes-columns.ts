import { Column, Kind, grown, int32 } from './column.ts';
import { bytesOf, copyBytes } from './copy-bytes.ts';
import { numericText } from './numeric.ts';
import type { BytesVector, ColumnType } from './vector.ts';
import { State } from './vector.ts';

/** text, json, bytea and every type that is kept as its text: a varint length and the bytes, as ClickHouse's String. */
export class BytesColumn extends Column {
  ends: Uint32Array;
  #target;
  /** What was copied from last: a stream's messages are all in the same memory. */
  #source: Uint8Array | undefined;
  #sourceBytes;
  /** Rows written in order: the next one. A row that is written again takes its place only if it was the last. */
  #next = 0;

  constructor(type: ColumnType, capacity: number, bytes = capacity * 16) {
    super(type, capacity);
    this.#target = bytesOf(Buffer.allocUnsafeSlow(Math.max(64, bytes)));
    this.#sourceBytes = this.#target;
    this.ends = new Uint32Array(capacity);
  }

  get bytes(): Buffer {
    return this.#target.buffer;
  }

  read(bytes: Buffer, offset: number, row: number): number {
    const kind = bytes[offset];
    if (kind !== Kind.binary && kind !== Kind.text) return this.readOther(bytes, offset, row);
    const start = offset + 5;
    const end = start + int32(bytes, offset + 1);
    this.append(bytes, start, end, row);
    return end;
  }

  binary(bytes: Buffer, start: number, end: number, row: number): void {
    this.append(bytes, start, end, row);
  }

  text(value: string, row: number): void {
    const at = this.#beginValue(Buffer.byteLength(value), row);
    this.#endValue(at + this.bytes.write(value, at), row);
  }

  append(source: Uint8Array, start: number, end: number, row: number): void {
    const at = this.#beginValue(end - start, row);
    if (this.#source !== source) {
      this.#source = source;
      this.#sourceBytes = bytesOf(source);
    }
    this.#endValue(copyBytes(this.#target, at, this.#sourceBytes, start, end), row);
  }

  override setNull(row: number): void {
    this.#empty(row);
    this.states[row] = State.null;
  }

  protected override setUnchanged(row: number): void {
    this.#empty(row);
  }

  vector(rows: number): BytesVector {
    return {
      layout: 'bytes',
      type: this.type,
      length: rows,
      states: this.statesOf(rows),
      bytes: this.bytes.subarray(0, rows === 0 ? 0 : this.ends[rows - 1]),
      ends: this.ends.subarray(0, rows),
    };
  }

  reserve(rows: number): void {
    this.ends = grown(this.ends, rows);
    this.growStates(rows);
  }

  override reset(): void {
    super.reset();
    this.#next = 0;
  }

  /** Makes room, writes the length, and returns the place behind it. */
  #beginValue(length: number, row: number): number {
    let at = this.#begin(row);
    if (at + length + 5 > this.bytes.length) this.#growBytes(at + length + 5);
    const { data } = this.#target;
    let rest = length;
    while (rest >= 0x80) {
      data.setUint8(at++, (rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    data.setUint8(at++, rest);
    return at;
  }

  #endValue(at: number, row: number): void {
    this.ends[row] = at;
    this.states[row] = State.value;
    this.#next = row + 1;
  }

  /** A row without a value has an empty string, so that the bytes are a whole column for ClickHouse. */
  #empty(row: number): void {
    const at = this.#begin(row);
    if (at + 1 > this.bytes.length) this.#growBytes(at + 1);
    this.bytes[at] = 0;
    this.ends[row] = at + 1;
    this.#next = row + 1;
  }

  #begin(row: number): number {
    if (row > this.#next || row < this.#next - 1) throw new RangeError(`row ${row} written after row ${this.#next - 1}: bytes are written in order`);
    return row === 0 ? 0 : this.ends[row - 1]!;
  }

  #growBytes(size: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(size, this.bytes.length * 2));
    larger.set(this.bytes);
    this.#target = bytesOf(larger);
  }
}

/** jsonb in binary begins with a version byte; json does not. */
export class JsonbColumn extends BytesColumn {
  constructor(capacity: number) {
    super('jsonb', capacity, capacity * 64);
  }

  override read(bytes: Buffer, offset: number, row: number): number {
    const kind = bytes[offset];
    if (kind !== Kind.binary) return super.read(bytes, offset, row);
    const end = offset + 5 + int32(bytes, offset + 1);
    this.append(bytes, offset + 6, end, row);
    return end;
  }

  override binary(bytes: Buffer, start: number, end: number, row: number): void {
    this.append(bytes, start + 1, end, row);
  }
}

/** bytea in text is `\x` and hexadecimal digits. */
export class ByteaColumn extends BytesColumn {
  constructor(capacity: number) {
    super('bytea', capacity);
  }

  override read(bytes: Buffer, offset: number, row: number): number {
    return bytes[offset] === Kind.text ? this.readOther(bytes, offset, row) : super.read(bytes, offset, row);
  }

  override text(value: string, row: number): void {
    if (!value.startsWith('\\x')) throw new TypeError('bytea in escape format: set bytea_output to hex');
    const bytes = Buffer.from(value.slice(2), 'hex');
    this.append(bytes, 0, bytes.length, row);
  }
}

/** numeric: its decimal text, all digits. */
export class NumericColumn extends BytesColumn {
  constructor(capacity: number) {
    super('numeric', capacity);
  }

  override read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary) return super.read(bytes, offset, row);
    const end = offset + 5 + int32(bytes, offset + 1);
    this.text(numericText(bytes, offset + 5), row);
    return end;
  }

  override binary(bytes: Buffer, start: number, _end: number, row: number): void {
    this.text(numericText(bytes, start), row);
  }
}
