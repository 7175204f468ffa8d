import { grown } from '../columns/column.ts';
import { postgresText } from '../columns/postgres-text.ts';
import type { BytesVector, InternedVector, NumberVector, Vector } from '../columns/vector.ts';
import { State, valueStart } from '../columns/vector.ts';

/**
 * Small numbers for keys, whatever layout they come in. A text is made once for each new key of a layout, never once a
 * row; the text decides, so a key that comes as a dictionary's and later plain has one slot.
 */
export class KeySlots {
  readonly texts: string[] = [];
  readonly #byText = new Map<string, number>();
  // made when keys come that need them
  #words: WordTable | undefined;
  #bytes: BytesTable | undefined;
  #dictionary = new Int32Array(0);

  /** A slot for each row; -1 where there is no key. In `memory`, if it is large enough. */
  slotsOf(vector: Vector, memory: Int32Array): Int32Array {
    const slots = grown(memory, vector.length);
    this.#fill(slots, vector);
    const { states } = vector;
    if (states) for (let row = 0; row < vector.length; row++) if (states[row] !== State.value) slots[row] = -1;
    return slots;
  }

  clear(): void {
    this.texts.length = 0;
    this.#byText.clear();
    this.#words = undefined;
    this.#bytes = undefined;
  }

  #fill(slots: Int32Array, vector: Vector): void {
    switch (vector.layout) {
      case 'interned':
        return this.#interned(slots, vector);
      case 'int64':
        return this.#worded(slots, vector, new Uint32Array(vector.words.buffer, vector.words.byteOffset, vector.words.length), 2);
      case 'words4':
        return this.#worded(slots, vector, vector.words, 4);
      case 'number':
        return this.#worded(slots, vector, integerWords(vector), 1);
      case 'bytes':
        return this.#texted(slots, vector);
    }
  }

  /** What keys a dictionary has is looked up once for each, as if they came plain. */
  #interned(slots: Int32Array, { ids, dictionary, length }: InternedVector): void {
    const slotOfId = (this.#dictionary = grown(this.#dictionary, dictionary.length));
    this.#fill(slotOfId, dictionary);
    for (let row = 0; row < length; row++) slots[row] = slotOfId[ids[row]!]!;
  }

  #worded(slots: Int32Array, vector: Vector, words: Uint32Array, width: number): void {
    const table = (this.#words ??= new WordTable());
    const { states } = vector;
    for (let row = 0; row < vector.length; row++) {
      if (states !== undefined && states[row] !== State.value) continue;
      const at = row * width;
      const low = words[at]!;
      const second = width > 1 ? words[at + 1]! : 0;
      const third = width > 2 ? words[at + 2]! : 0;
      const fourth = width > 2 ? words[at + 3]! : 0;
      let slot = table.find(low, second, third, fourth);
      if (slot < 0) {
        slot = this.#slotOf(postgresText(vector, row)!);
        table.add(low, second, third, fourth, slot);
      }
      slots[row] = slot;
    }
  }

  #texted(slots: Int32Array, vector: BytesVector): void {
    const table = (this.#bytes ??= new BytesTable());
    const { states, bytes, ends } = vector;
    for (let row = 0; row < vector.length; row++) {
      if (states !== undefined && states[row] !== State.value) continue;
      const start = valueStart(vector, row);
      let slot = table.find(bytes, start, ends[row]!);
      if (slot < 0) {
        slot = this.#slotOf(postgresText(vector, row)!);
        table.add(bytes, start, ends[row]!, slot);
      }
      slots[row] = slot;
    }
  }

  #slotOf(text: string): number {
    let slot = this.#byText.get(text);
    if (slot === undefined) {
      slot = this.texts.push(text) - 1;
      this.#byText.set(text, slot);
    }
    return slot;
  }
}

function integerWords(vector: NumberVector): Uint32Array {
  const { values } = vector;
  if (values instanceof Float32Array || values instanceof Float64Array) throw new TypeError(`a ${vector.type} cannot be a key: its text is not one with its value`);
  return Uint32Array.from(values, (value) => value >>> 0);
}

/** Open addressing over up to four words. */
class WordTable {
  #size = 0;
  #table = new Int32Array(1024).fill(-1);
  #keys = new Uint32Array(4 * 512);
  #slots = new Int32Array(512);

  find(a: number, b: number, c: number, d: number): number {
    const mask = this.#table.length - 1;
    for (let at = hashWords(a, b, c, d) & mask; ; at = (at + 1) & mask) {
      const entry = this.#table[at]!;
      if (entry < 0) return -1;
      const key = entry * 4;
      if (this.#keys[key] === a && this.#keys[key + 1] === b && this.#keys[key + 2] === c && this.#keys[key + 3] === d) return this.#slots[entry]!;
    }
  }

  add(a: number, b: number, c: number, d: number, slot: number): void {
    const entry = this.#size++;
    this.#keys = grown(this.#keys, this.#size * 4);
    this.#slots = grown(this.#slots, this.#size);
    this.#keys.set([a, b, c, d], entry * 4);
    this.#slots[entry] = slot;
    if (this.#size * 2 > this.#table.length) this.#rehash();
    else this.#place(entry);
  }

  #rehash(): void {
    this.#table = new Int32Array(this.#table.length * 2).fill(-1);
    for (let entry = 0; entry < this.#size; entry++) this.#place(entry);
  }

  #place(entry: number): void {
    const mask = this.#table.length - 1;
    const key = entry * 4;
    let at = hashWords(this.#keys[key]!, this.#keys[key + 1]!, this.#keys[key + 2]!, this.#keys[key + 3]!) & mask;
    while (this.#table[at]! >= 0) at = (at + 1) & mask;
    this.#table[at] = entry;
  }
}

function hashWords(a: number, b: number, c: number, d: number): number {
  let hash = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35) ^ Math.imul(d, 0x27d4eb2f);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

/** Open addressing over byte strings, which it keeps. */
class BytesTable {
  #size = 0;
  #table = new Int32Array(1024).fill(-1);
  #hashes = new Int32Array(512);
  #slots = new Int32Array(512);
  #ends = new Uint32Array(512);
  #bytes = new Uint8Array(8192);

  find(bytes: Uint8Array, start: number, end: number): number {
    const mask = this.#table.length - 1;
    const hash = hashBytes(bytes, start, end);
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const entry = this.#table[at]!;
      if (entry < 0) return -1;
      if (this.#hashes[entry] === hash && this.#equal(entry, bytes, start, end)) return this.#slots[entry]!;
    }
  }

  add(bytes: Uint8Array, start: number, end: number, slot: number): void {
    const entry = this.#size++;
    this.#hashes = grown(this.#hashes, this.#size);
    this.#slots = grown(this.#slots, this.#size);
    this.#ends = grown(this.#ends, this.#size);
    const from = entry === 0 ? 0 : this.#ends[entry - 1]!;
    this.#bytes = grown(this.#bytes, from + end - start);
    this.#bytes.set(bytes.subarray(start, end), from);
    this.#ends[entry] = from + end - start;
    this.#hashes[entry] = hashBytes(bytes, start, end);
    this.#slots[entry] = slot;
    if (this.#size * 2 > this.#table.length) this.#rehash();
    else this.#place(entry);
  }

  #equal(entry: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = entry === 0 ? 0 : this.#ends[entry - 1]!;
    if (this.#ends[entry]! - from !== end - start) return false;
    for (let at = start, kept = from; at < end; at++, kept++) if (bytes[at] !== this.#bytes[kept]) return false;
    return true;
  }

  #rehash(): void {
    this.#table = new Int32Array(this.#table.length * 2).fill(-1);
    for (let entry = 0; entry < this.#size; entry++) this.#place(entry);
  }

  #place(entry: number): void {
    const mask = this.#table.length - 1;
    let at = this.#hashes[entry]! & mask;
    while (this.#table[at]! >= 0) at = (at + 1) & mask;
    this.#table[at] = entry;
  }
}

/** FNV-1a. */
function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash ^ (hash >>> 15);
}
