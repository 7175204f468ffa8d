import type { BytesColumn } from './bytes-columns.ts';
import { Column, Kind, grown, int32 } from './column.ts';
import type { BytesVector, InternedVector, Vector, Words4Vector } from './vector.ts';
import { State, valueStart } from './vector.ts';
import { UuidColumn, uuidWords } from './wide-columns.ts';

/**
 * A column of few distinct values: ids into a dictionary that lives as long as the column. When the dictionary is full,
 * or over half of the first 4,096 values are distinct, the column is demoted for good to plain values, those of the
 * running batch included (COLUMNS.md, interning).
 */
abstract class InternedColumn<D extends BytesColumn | UuidColumn> extends Column {
  ids: Uint32Array;
  /** Set once the column turned out not to have few distinct values. */
  demoted = false;
  protected readonly dictionary: D;
  protected readonly plain: D;
  /** Distinct values so far: the dictionary's rows. */
  size = 0;
  #seen = 0;
  readonly #limit: number;
  protected slots = new Int32Array(1024).fill(-1);
  protected hashes = new Int32Array(512);

  constructor(dictionary: D, plain: D, capacity: number, limit: number) {
    super(plain.type, capacity);
    this.dictionary = dictionary;
    this.plain = plain;
    this.ids = new Uint32Array(capacity);
    this.#limit = limit;
  }

  text(value: string, row: number): void {
    const { bytes, end } = this.encode(value);
    this.binary(bytes, 0, end, row);
  }

  override setNull(row: number): void {
    if (this.demoted) this.plain.setNull(row);
    else {
      this.ids[row] = 0;
      this.states[row] = State.null;
    }
  }

  protected override setUnchanged(row: number): void {
    this.ids[row] = 0;
  }

  vector(rows: number): Vector {
    if (this.demoted) return this.plain.vector(rows);
    const dictionary = this.dictionary.vector(this.size) as BytesVector | Words4Vector;
    return { layout: 'interned', type: this.type, length: rows, states: this.statesOf(rows), ids: this.ids.subarray(0, rows), dictionary } satisfies InternedVector;
  }

  reserve(rows: number): void {
    this.ids = grown(this.ids, rows);
    this.growStates(rows);
    this.plain.reserve(rows);
  }

  override reset(): void {
    super.reset();
    this.plain.reset();
  }

  /** The id of a value that was seen, -1 if it was not. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const hash = this.hash(bytes, start, end);
    for (let slot = hash & (this.slots.length - 1); ; slot = (slot + 1) & (this.slots.length - 1)) {
      const id = this.slots[slot]!;
      if (id === -1) return -1;
      if (this.hashes[id] === hash && this.matches(id, bytes, start, end)) return id;
    }
  }

  protected take(bytes: Buffer, start: number, end: number, row: number): void {
    const hash = this.hash(bytes, start, end);
    this.#seen++;
    const mask = this.slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = this.slots[slot]!;
      if (id === -1) {
        this.#add(slot, hash, bytes, start, end, row);
        return;
      }
      if (this.hashes[id] === hash && this.matches(id, bytes, start, end)) {
        this.ids[row] = id;
        this.states[row] = State.value;
        return;
      }
    }
  }

  protected abstract hash(bytes: Uint8Array, start: number, end: number): number;
  protected abstract matches(id: number, bytes: Uint8Array, start: number, end: number): boolean;
  protected abstract encode(value: string): { bytes: Buffer; end: number };
  /** Copies a dictionary value to a row of the plain column. */
  protected abstract copyToPlain(id: number, row: number): void;

  #add(slot: number, hash: number, bytes: Buffer, start: number, end: number, row: number): void {
    if (this.size >= this.#limit || (this.#seen === 4096 && this.size > 2048)) {
      this.#demote(row);
      this.plain.binary(bytes, start, end, row);
      return;
    }
    const id = this.size++;
    this.dictionary.reserve(this.size);
    this.hashes = grown(this.hashes, this.size);
    this.dictionary.binary(bytes, start, end, id);
    this.hashes[id] = hash;
    this.slots[slot] = id;
    this.ids[row] = id;
    this.states[row] = State.value;
    if (this.size * 2 > this.slots.length) this.#rehash();
  }

  #rehash(): void {
    this.slots = new Int32Array(this.slots.length * 2).fill(-1);
    const mask = this.slots.length - 1;
    for (let id = 0; id < this.size; id++) {
      let slot = this.hashes[id]! & mask;
      while (this.slots[slot] !== -1) slot = (slot + 1) & mask;
      this.slots[slot] = id;
    }
  }

  #demote(rows: number): void {
    this.demoted = true;
    for (let row = 0; row < rows; row++) {
      if (this.states[row] === State.value) this.copyToPlain(this.ids[row]!, row);
      else {
        this.plain.setNull(row);
        this.plain.states[row] = this.states[row]!;
      }
    }
    this.slots = new Int32Array(1).fill(-1);
  }
}

export class InternedBytesColumn extends InternedColumn<BytesColumn> {
  constructor(make: (capacity: number) => BytesColumn, capacity: number, limit = 4096) {
    super(make(256), make(capacity), capacity, limit);
  }

  read(bytes: Buffer, offset: number, row: number): number {
    if (this.demoted) return this.#readPlain(bytes, offset, row);
    const kind = bytes[offset];
    if (kind !== Kind.binary && kind !== Kind.text) return this.readOther(bytes, offset, row);
    const start = offset + 5;
    const end = start + int32(bytes, offset + 1);
    this.take(bytes, start, end, row);
    return end;
  }

  binary(bytes: Buffer, start: number, end: number, row: number): void {
    if (this.demoted) this.plain.binary(bytes, start, end, row);
    else this.take(bytes, start, end, row);
  }

  protected hash(bytes: Uint8Array, start: number, end: number): number {
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    return (hash ^ (hash >>> 15)) & 0x7fffffff;
  }

  protected matches(id: number, bytes: Uint8Array, start: number, end: number): boolean {
    const stored = this.dictionary.bytes;
    const storedEnd = this.dictionary.ends[id]!;
    let at = storedEnd - (end - start);
    const from = id === 0 ? 0 : this.dictionary.ends[id - 1]!;
    if (at <= from || at - from > 5) return false;
    if (storedEnd - at !== end - start || valueStartAt(stored, from) !== at) return false;
    for (let i = start; i < end; i++) if (stored[at++] !== bytes[i]) return false;
    return true;
  }

  protected encode(value: string): { bytes: Buffer; end: number } {
    const bytes = Buffer.from(value);
    return { bytes, end: bytes.length };
  }

  protected copyToPlain(id: number, row: number): void {
    const vector = this.dictionary.vector(this.size);
    this.plain.append(vector.bytes, valueStart(vector, id), vector.ends[id]!, row);
  }

  #readPlain(bytes: Buffer, offset: number, row: number): number {
    const before = this.plain.unchanged;
    const end = this.plain.read(bytes, offset, row);
    this.unchanged += this.plain.unchanged - before;
    return end;
  }
}

export class InternedUuidColumn extends InternedColumn<UuidColumn> {
  #scratch = new Uint32Array(4);

  constructor(capacity: number, limit = 1 << 20) {
    super(new UuidColumn(256), new UuidColumn(capacity), capacity, limit);
  }

  read(bytes: Buffer, offset: number, row: number): number {
    if (bytes[offset] !== Kind.binary || this.demoted) return this.#readOther(bytes, offset, row);
    this.take(bytes, offset + 5, offset + 21, row);
    return offset + 21;
  }

  binary(bytes: Buffer, start: number, end: number, row: number): void {
    if (this.demoted) this.plain.binary(bytes, start, end, row);
    else this.take(bytes, start, end, row);
  }

  protected hash(bytes: Uint8Array, start: number): number {
    const mixed = Math.imul(int32(bytes, start) ^ Math.imul(int32(bytes, start + 4), 0x9e3779b1), 0x85ebca6b) ^ Math.imul(int32(bytes, start + 8) ^ Math.imul(int32(bytes, start + 12), 0xc2b2ae35), 0x27d4eb2f);
    return (mixed ^ (mixed >>> 15)) & 0x7fffffff;
  }

  protected matches(id: number, bytes: Uint8Array, start: number): boolean {
    uuidWords(bytes, start, this.#scratch, 0);
    const words = this.dictionary.words;
    const at = id * 4;
    return words[at] === this.#scratch[0] && words[at + 1] === this.#scratch[1] && words[at + 2] === this.#scratch[2] && words[at + 3] === this.#scratch[3];
  }

  protected encode(value: string): { bytes: Buffer; end: number } {
    return { bytes: Buffer.from(value.replaceAll('-', ''), 'hex'), end: 16 };
  }

  protected copyToPlain(id: number, row: number): void {
    for (let word = 0; word < 4; word++) this.plain.words[row * 4 + word] = this.dictionary.words[id * 4 + word]!;
    this.plain.states[row] = State.value;
  }

  #readOther(bytes: Buffer, offset: number, row: number): number {
    if (!this.demoted) return this.readOther(bytes, offset, row);
    const before = this.plain.unchanged;
    const end = this.plain.read(bytes, offset, row);
    this.unchanged += this.plain.unchanged - before;
    return end;
  }
}

function valueStartAt(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at]! >= 0x80) at++;
  return at + 1;
}
