import { crc32c } from '@node-rs/crc32';
import type { BytesVector, ColumnType, InternedVector, NumberArray, Vector, Words4Vector } from './columns/vector.ts';
import { State } from './columns/vector.ts';
import type { Batch, Segment, SegmentHeader, Transactions, Truncate } from './segment.ts';

/**
 * The container of a segment: magic, length of the header, header (JSON), parts that begin at multiples of 8, and a
 * CRC-32C of everything before it. A part is the body of a ClickHouse Native column, or a typed array in the machine's
 * order (little-endian). Interned columns carry only the values that the segment uses.
 */
export function encodeSegment(content: Omit<Segment, 'bytes'>, allocate: Allocate = Buffer.allocUnsafeSlow): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  const add = (array: ArrayBufferView): Part => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    const part: Part = [size, bytes.length];
    parts.push(bytes);
    size += align(bytes.length);
    return part;
  };

  const { transactions } = content;
  const layout: Layout = {
    header: content.header,
    truncates: content.truncates,
    transactions: {
      count: transactions.count,
      lsns: add(transactions.lsns),
      commitTimes: add(transactions.commitTimes),
      lastOrdinals: add(transactions.lastOrdinals),
      complete: add(transactions.complete),
      clocks: add(transactions.clocks),
    },
    batches: content.batches.map((batch) => ({
      table: batch.table,
      image: batch.image,
      rows: batch.rows,
      positions: add(batch.positions),
      operations: add(batch.operations),
      transactionEnds: add(batch.transactionEnds),
      columns: [...batch.columns].map(([name, vector]) => columnLayout(name, vector, add)),
    })),
  };
  return assemble(layout, parts, size, allocate);
}

/** Memory of any content, beginning at a multiple of 8. */
export type Allocate = (size: number) => Uint8Array;

/** The segment as views of `bytes`, which must begin at a multiple of 8. Throws CorruptSegment. */
export function openSegment(bytes: Uint8Array, options: { verify: boolean }): Segment {
  if (bytes.byteOffset % 8 !== 0) throw new RangeError(`a segment's bytes must begin at a multiple of 8, not at ${bytes.byteOffset}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < prefix + 4 || view.getUint32(0, true) !== magic) throw new CorruptSegment('it does not begin like a segment');
  if (options.verify && crc32c(bytes.subarray(0, bytes.length - 4)) !== view.getUint32(bytes.length - 4, true)) throw new CorruptSegment('its checksum does not match');

  const headerLength = view.getUint32(4, true);
  const layout = JSON.parse(new TextDecoder().decode(bytes.subarray(prefix, prefix + headerLength))) as Layout;
  const base = align(prefix + headerLength);
  const read: Read = (type, [offset, length]) => new type(bytes.buffer as ArrayBuffer, bytes.byteOffset + base + offset, length / type.BYTES_PER_ELEMENT);
  const t = layout.transactions;
  return {
    header: layout.header,
    truncates: layout.truncates,
    transactions: {
      count: t.count,
      lsns: read(Uint32Array, t.lsns),
      commitTimes: read(Float64Array, t.commitTimes),
      lastOrdinals: read(Uint32Array, t.lastOrdinals),
      complete: read(Uint8Array, t.complete),
      clocks: read(Float64Array, t.clocks),
    } satisfies Transactions,
    batches: layout.batches.map((batch) => ({
      table: batch.table,
      image: batch.image,
      rows: batch.rows,
      positions: read(Uint32Array, batch.positions),
      operations: read(Uint8Array, batch.operations),
      transactionEnds: read(Uint32Array, batch.transactionEnds),
      columns: new Map(batch.columns.map((column) => [column.name, openColumn(column, batch.rows, read)])),
    }) satisfies Batch),
    bytes,
  };
}

/** The header alone, from the first bytes of a container; undefined when they are too few. */
export function segmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < prefix || view.getUint32(0, true) !== magic) throw new CorruptSegment('it does not begin like a segment');
  const end = prefix + view.getUint32(4, true);
  if (end > bytes.length) return undefined;
  try {
    return (JSON.parse(new TextDecoder().decode(bytes.subarray(prefix, end))) as Layout).header;
  } catch (error) {
    throw new CorruptSegment('its header cannot be read', { cause: error });
  }
}

export class CorruptSegment extends Error {
  override readonly name = 'CorruptSegment';
}

type Part = readonly [offset: number, length: number];
type Layout = {
  header: SegmentHeader;
  truncates: readonly Truncate[];
  transactions: { count: number; lsns: Part; commitTimes: Part; lastOrdinals: Part; complete: Part; clocks: Part };
  batches: { table: string; image: Batch['image']; rows: number; positions: Part; operations: Part; transactionEnds: Part; columns: ColumnLayout[] }[];
};
type ColumnLayout = { name: string; type: ColumnType; states?: Part } & (
  | { layout: 'number'; array: ArrayName; values: Part }
  | { layout: 'int64' | 'words4'; words: Part }
  | { layout: 'bytes'; bytes: Part; ends: Part }
  | { layout: 'interned'; ids: Part; dictionary: { rows: number; words: Part } | { rows: number; bytes: Part; ends: Part } }
);

const arrays = { Uint8Array, Int16Array, Int32Array, Uint32Array, Float32Array, Float64Array };
type ArrayName = keyof typeof arrays;
type ArrayType<A> = { readonly BYTES_PER_ELEMENT: number; new (buffer: ArrayBuffer, offset: number, length: number): A };
type Read = <A>(type: ArrayType<A>, part: Part) => A;

const magic = 0x31434c53; // 'SLC1'
const prefix = 8;

function columnLayout(name: string, vector: Vector, add: (array: ArrayBufferView) => Part): ColumnLayout {
  const { type } = vector;
  const common = vector.states ? { name, type, states: add(vector.states) } : { name, type };
  switch (vector.layout) {
    case 'number':
      return { ...common, layout: 'number', array: vector.values.constructor.name as ArrayName, values: add(vector.values) };
    case 'int64':
    case 'words4':
      return { ...common, layout: vector.layout, words: add(vector.words) };
    case 'bytes':
      return { ...common, layout: 'bytes', bytes: add(vector.bytes), ends: add(vector.ends) };
    case 'interned': {
      const { ids, dictionary } = compact(vector);
      const rows = dictionary.length;
      return {
        ...common,
        layout: 'interned',
        ids: add(ids),
        dictionary: dictionary.layout === 'words4' ? { rows, words: add(dictionary.words) } : { rows, bytes: add(dictionary.bytes), ends: add(dictionary.ends) },
      };
    }
  }
}

function openColumn(column: ColumnLayout, rows: number, read: Read): Vector {
  const common = { type: column.type, length: rows, states: column.states && read(Uint8Array, column.states) };
  switch (column.layout) {
    case 'number':
      return { ...common, layout: 'number', values: read(arrays[column.array] as ArrayType<NumberArray>, column.values) };
    case 'int64':
      return { ...common, layout: 'int64', words: read(Int32Array, column.words) };
    case 'words4':
      return { ...common, layout: 'words4', words: read(Uint32Array, column.words) };
    case 'bytes':
      return { ...common, layout: 'bytes', bytes: read(Uint8Array, column.bytes), ends: read(Uint32Array, column.ends) };
    case 'interned': {
      const plain = { type: column.type, length: column.dictionary.rows, states: undefined };
      const dictionary: Words4Vector | BytesVector =
        'words' in column.dictionary
          ? { ...plain, layout: 'words4', words: read(Uint32Array, column.dictionary.words) }
          : { ...plain, layout: 'bytes', bytes: read(Uint8Array, column.dictionary.bytes), ends: read(Uint32Array, column.dictionary.ends) };
      return { ...common, layout: 'interned', ids: read(Uint32Array, column.ids), dictionary };
    }
  }
}

/** The same column with a dictionary of only the values in use, numbered in order of first use. */
function compact(vector: InternedVector): { ids: Uint32Array; dictionary: BytesVector | Words4Vector } {
  const { dictionary, states } = vector;
  const ids = new Uint32Array(vector.length);
  const places = new Uint32Array(dictionary.length); // 0: not used yet, else the new id + 1
  const used: number[] = [];
  for (let row = 0; row < vector.length; row++) {
    if (states !== undefined && states[row] !== State.value) continue;
    const old = vector.ids[row]!;
    let place = places[old]!;
    if (place === 0) {
      used.push(old);
      place = used.length;
      places[old] = place;
    }
    ids[row] = place - 1;
  }
  return { ids, dictionary: dictionary.layout === 'words4' ? pickWords(dictionary, used) : pickBytes(dictionary, used) };
}

function pickWords(dictionary: Words4Vector, rows: readonly number[]): Words4Vector {
  const words = new Uint32Array(rows.length * 4);
  rows.forEach((row, index) => words.set(dictionary.words.subarray(row * 4, row * 4 + 4), index * 4));
  return { ...dictionary, length: rows.length, states: undefined, words };
}

function pickBytes(dictionary: BytesVector, rows: readonly number[]): BytesVector {
  const from = (row: number) => (row === 0 ? 0 : dictionary.ends[row - 1]!);
  let size = 0;
  for (const row of rows) size += dictionary.ends[row]! - from(row);
  const bytes = new Uint8Array(size);
  const ends = new Uint32Array(rows.length);
  let at = 0;
  rows.forEach((row, index) => {
    bytes.set(dictionary.bytes.subarray(from(row), dictionary.ends[row]), at);
    at += dictionary.ends[row]! - from(row);
    ends[index] = at;
  });
  return { ...dictionary, length: rows.length, states: undefined, bytes, ends };
}

function assemble(layout: Layout, parts: readonly Uint8Array[], size: number, allocate: Allocate): Uint8Array {
  const header = new TextEncoder().encode(JSON.stringify(layout));
  const base = align(prefix + header.length);
  // not zeroed: every byte is written below, the gaps between parts too
  const bytes = allocate(base + size + 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(0, magic, true);
  view.setUint32(4, header.length, true);
  bytes.set(header, prefix);
  bytes.fill(0, prefix + header.length, base);
  let at = base;
  for (const part of parts) {
    bytes.set(part, at);
    const next = at + align(part.length);
    bytes.fill(0, at + part.length, next);
    at = next;
  }
  view.setUint32(bytes.length - 4, crc32c(bytes.subarray(0, bytes.length - 4)), true);
  return bytes;
}

function align(length: number): number {
  return (length + 7) & ~7;
}
