import { Column, Kind, grown, int32 } from './column.ts';
import { dateFromText } from './parse-text.ts';
import type { ColumnType, NumberArray, NumberVector } from './vector.ts';
import { State } from './vector.ts';

/** What the fixed-width columns that fit a JavaScript number share. The hot `read` is written out in each class. */
abstract class NumberColumn<A extends NumberArray> extends Column {
  values: A;

  constructor(type: ColumnType, values: A) {
    super(type, values.length);
    this.values = values;
  }

  vector(rows: number): NumberVector {
    return { layout: 'number', type: this.type, length: rows, states: this.statesOf(rows), values: this.values.subarray(0, rows) as A };
  }

  reserve(rows: number): void {
    this.values = grown(this.values, rows);
    this.growStates(rows);
  }

  protected set(row: number, value: number): void {
    this.values[row] = value;
    this.states[row] = State.value;
  }
}

export class BoolColumn extends NumberColumn<Uint8Array> {
  constructor(capacity: number) {
    super('bool', new Uint8Array(capacity));
  }
  read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary) return this.readOther(bytes, offset, row);
    this.values[row] = bytes[offset + 5]!;
    this.states[row] = State.value;
    return offset + 6;
  }
  binary(bytes: Buffer, start: number, _end: number, row: number): void {
    this.set(row, bytes[start]!);
  }
  text(value: string, row: number): void {
    this.set(row, value === 't' || value === 'true' ? 1 : 0);
  }
}

export class Int2Column extends NumberColumn<Int16Array> {
  constructor(capacity: number) {
    super('int2', new Int16Array(capacity));
  }
  read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary) return this.readOther(bytes, offset, row);
    this.values[row] = (bytes[offset + 5]! << 8) | bytes[offset + 6]!;
    this.states[row] = State.value;
    return offset + 7;
  }
  binary(bytes: Buffer, start: number, _end: number, row: number): void {
    this.set(row, bytes.readInt16BE(start));
  }
  text(value: string, row: number): void {
    this.set(row, Number(value));
  }
}

export class Int4Column extends NumberColumn<Int32Array> {
  constructor(capacity: number) {
    super('int4', new Int32Array(capacity));
  }
  read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary) return this.readOther(bytes, offset, row);
    this.values[row] = int32(bytes, offset + 5);
    this.states[row] = State.value;
    return offset + 9;
  }
  binary(bytes: Buffer, start: number, _end: number, row: number): void {
    this.set(row, int32(bytes, start));
  }
  text(value: string, row: number): void {
    this.set(row, Number(value));
  }
}

export class OidColumn extends NumberColumn<Uint32Array> {
  constructor(capacity: number) {
    super('oid', new Uint32Array(capacity));
  }
  read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary) return this.readOther(bytes, offset, row);
    this.values[row] = int32(bytes, offset + 5);
    this.states[row] = State.value;
    return offset + 9;
  }
  binary(bytes: Buffer, start: number, _end: number, row: number): void {
    this.set(row, int32(bytes, start));
  }
  text(value: string, row: number): void {
    this.set(row, Number(value));
  }
}

/** Days since 1970; Postgres counts from 2000. The infinities keep the int32 extremes. */
export class DateColumn extends NumberColumn<Int32Array> {
  constructor(capacity: number) {
    super('date', new Int32Array(capacity));
  }
  read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary) return this.readOther(bytes, offset, row);
    this.values[row] = daysSince1970(int32(bytes, offset + 5));
    this.states[row] = State.value;
    return offset + 9;
  }
  binary(bytes: Buffer, start: number, _end: number, row: number): void {
    this.set(row, daysSince1970(int32(bytes, start)));
  }
  text(value: string, row: number): void {
    this.set(row, dateFromText(value));
  }
}

export class Float4Column extends NumberColumn<Float32Array> {
  constructor(capacity: number) {
    super('float4', new Float32Array(capacity));
  }
  read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary) return this.readOther(bytes, offset, row);
    this.values[row] = bytes.readFloatBE(offset + 5);
    this.states[row] = State.value;
    return offset + 9;
  }
  binary(bytes: Buffer, start: number, _end: number, row: number): void {
    this.set(row, bytes.readFloatBE(start));
  }
  text(value: string, row: number): void {
    this.set(row, floatFromText(value));
  }
}

export class Float8Column extends NumberColumn<Float64Array> {
  constructor(capacity: number) {
    super('float8', new Float64Array(capacity));
  }
  read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary) return this.readOther(bytes, offset, row);
    this.values[row] = bytes.readDoubleBE(offset + 5);
    this.states[row] = State.value;
    return offset + 13;
  }
  binary(bytes: Buffer, start: number, _end: number, row: number): void {
    this.set(row, bytes.readDoubleBE(start));
  }
  text(value: string, row: number): void {
    this.set(row, floatFromText(value));
  }
}

function floatFromText(value: string): number {
  return Number(value); // 'NaN', 'Infinity' and '-Infinity' are spelled as JavaScript does
}

function daysSince1970(daysSince2000: number): number {
  return daysSince2000 === 0x7fffffff || daysSince2000 === -0x80000000 ? daysSince2000 : daysSince2000 + 10957;
}
