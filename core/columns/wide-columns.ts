import { Column, Kind, grown, int32 } from './column.ts';
import { timestampFromText } from './parse-text.ts';
import type { ColumnType, Int64Vector, Words4Vector } from './vector.ts';
import { State } from './vector.ts';

/** int8: two words a row, low first. */
export class Int8Column extends Column {
  words: Int32Array;

  constructor(capacity: number, type: ColumnType = 'int8') {
    super(type, capacity);
    this.words = new Int32Array(capacity * 2);
  }

  read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary) return this.readOther(bytes, offset, row);
    this.words[row * 2 + 1] = int32(bytes, offset + 5);
    this.words[row * 2] = int32(bytes, offset + 9);
    this.states[row] = State.value;
    return offset + 13;
  }

  binary(bytes: Buffer, start: number, _end: number, row: number): void {
    this.words[row * 2 + 1] = int32(bytes, start);
    this.words[row * 2] = int32(bytes, start + 4);
    this.states[row] = State.value;
  }

  text(value: string, row: number): void {
    this.set(row, BigInt(value));
  }

  override equals(row: number, other: Int8Column, otherRow: number): boolean {
    return this.words[row * 2] === other.words[otherRow * 2] && this.words[row * 2 + 1] === other.words[otherRow * 2 + 1];
  }

  set(row: number, value: bigint): void {
    this.words[row * 2 + 1] = Number(BigInt.asIntN(32, value >> 32n));
    this.words[row * 2] = Number(BigInt.asIntN(32, value));
    this.states[row] = State.value;
  }

  vector(rows: number): Int64Vector {
    return { layout: 'int64', type: this.type, length: rows, states: this.statesOf(rows), words: this.words.subarray(0, rows * 2) };
  }

  reserve(rows: number): void {
    this.words = grown(this.words, rows * 2);
    this.growStates(rows);
  }
}

/** 30 years in microseconds: Postgres counts from 2000, a batch from 1970. */
const epochHigh = 0x35d01;
const epochLow = 0x3b37e000;

/**
 * The last time whose microseconds since 1970 have room in 64 bits, less the last 71 minutes, so that the high word alone
 * tells infinity. Postgres has 29 years more: they stand here.
 */
const lastTime = 0x7ffffffe_ffffffffn;
/** The same in SQL. */
export const lastTimeText = '294247-01-10 02:49:19.808511+00';

/** timestamp and timestamptz: microseconds since 1970; the infinities keep the int64 extremes. */
export class TimestampColumn extends Int8Column {
  override read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary) return this.readOther(bytes, offset, row);
    this.binary(bytes, offset + 5, offset + 13, row);
    return offset + 13;
  }

  override binary(bytes: Buffer, start: number, _end: number, row: number): void {
    const high = int32(bytes, start);
    const low = int32(bytes, start + 4) >>> 0;
    this.states[row] = State.value;
    if (isInfinity(high, low)) {
      this.words[row * 2 + 1] = high;
      this.words[row * 2] = low;
      return;
    }
    const sum = low + epochLow;
    const sumHigh = high + epochHigh + (sum > 0xffffffff ? 1 : 0);
    if (sumHigh >= 0x7fffffff) return this.set(row, lastTime);
    this.words[row * 2] = sum;
    this.words[row * 2 + 1] = sumHigh;
  }

  override text(value: string, row: number): void {
    const microseconds = timestampFromText(value);
    this.set(row, microseconds > lastTime && value !== 'infinity' ? lastTime : microseconds);
  }
}

function isInfinity(high: number, low: number): boolean {
  return (high === 0x7fffffff && low === 0xffffffff) || (high === -0x80000000 && low === 0);
}

/** uuid: four words a row in ClickHouse's order, which is each half's eight bytes reversed. */
export class UuidColumn extends Column {
  words: Uint32Array;

  constructor(capacity: number) {
    super('uuid', capacity);
    this.words = new Uint32Array(capacity * 4);
  }

  read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary) return this.readOther(bytes, offset, row);
    const words = this.words;
    const at = row * 4;
    words[at + 1] = int32(bytes, offset + 5);
    words[at] = int32(bytes, offset + 9);
    words[at + 3] = int32(bytes, offset + 13);
    words[at + 2] = int32(bytes, offset + 17);
    this.states[row] = State.value;
    return offset + 21;
  }

  binary(bytes: Buffer, start: number, _end: number, row: number): void {
    uuidWords(bytes, start, this.words, row * 4);
    this.states[row] = State.value;
  }

  text(value: string, row: number): void {
    this.binary(Buffer.from(value.replaceAll('-', ''), 'hex'), 0, 16, row);
  }

  override equals(row: number, other: UuidColumn, otherRow: number): boolean {
    for (let word = 0; word < 4; word++) if (this.words[row * 4 + word] !== other.words[otherRow * 4 + word]) return false;
    return true;
  }

  vector(rows: number): Words4Vector {
    return { layout: 'words4', type: 'uuid', length: rows, states: this.statesOf(rows), words: this.words.subarray(0, rows * 4) };
  }

  reserve(rows: number): void {
    this.words = grown(this.words, rows * 4);
    this.growStates(rows);
  }
}

export function uuidWords(bytes: Uint8Array, start: number, words: Uint32Array, at: number): void {
  words[at + 1] = int32(bytes, start);
  words[at] = int32(bytes, start + 4);
  words[at + 3] = int32(bytes, start + 8);
  words[at + 2] = int32(bytes, start + 12);
}
