import type { BytesVector, InternedVector, NumberVector, Vector, Words4Vector } from '../../core/columns/vector.ts';
import { State } from '../../core/columns/vector.ts';
import { unreachable } from '../../core/unreachable.ts';
import type { Chunks } from './chunks.ts';

/**
 * ClickHouse's Native format, as HTTP takes it (no block info, no serialization kinds): a block is the number of columns
 * and of rows, then for each column its name, its type, and its values one after another. Vectors have that layout
 * already, so their arrays are sent as they are. The types sent are those of the vectors; where they differ from the
 * table's (an interned column that was demoted), the server converts.
 * Format: https://clickhouse.com/docs/interfaces/formats/Native
 */
export type NativeColumn = { readonly name: string; readonly vector: SentVector; readonly nullable: boolean };

/** `positions`: UInt128 of four words a row. `constant`: the same UInt8 in each row. */
export type SentVector = Vector | { readonly layout: 'positions'; readonly words: Uint32Array } | { readonly layout: 'constant'; readonly value: 0 | 1 };

/** Writes the rows [start, end) of the columns as one block. Timestamps must be clamped, and no row be 'unchanged'. */
export function writeBlock(out: Chunks, columns: readonly NativeColumn[], start: number, end: number): void {
  out.varint(columns.length);
  out.varint(end - start);
  for (const { name, vector, nullable } of columns) {
    out.text(name);
    if (vector.layout === 'positions') {
      out.text('UInt128');
      out.array(vector.words.subarray(start * 4, end * 4));
    } else if (vector.layout === 'constant') {
      out.text('UInt8');
      out.array((vector.value === 0 ? bytesOf(zeros, end - start) : bytesOf(ones, end - start)));
    } else writeColumn(out, vector, nullable, start, end);
  }
}

function writeColumn(out: Chunks, vector: Vector, nullable: boolean, start: number, end: number): void {
  if (vector.layout === 'interned' && vector.dictionary.layout === 'bytes') {
    writeLowCardinality(out, vector, vector.dictionary, nullable, start, end);
    return;
  }
  const type = plainType(vector);
  out.text(nullable ? `Nullable(${type})` : type);
  if (nullable) out.array(vector.states ? vector.states.subarray(start, end) : bytesOf(zeros, end - start));
  switch (vector.layout) {
    case 'number':
      out.array(vector.values.subarray(start, end));
      return;
    case 'int64':
      out.array(vector.words.subarray(start * 2, end * 2));
      return;
    case 'words4':
      out.array(vector.words.subarray(start * 4, end * 4));
      return;
    case 'bytes':
      out.array(vector.bytes.subarray(start === 0 ? 0 : vector.ends[start - 1], end === 0 ? 0 : vector.ends[end - 1]));
      return;
    case 'interned':
      out.array(expanded(vector.ids, vector.dictionary as Words4Vector, start, end));
      return;
    default:
      unreachable(vector);
  }
}

function plainType(vector: Vector): string {
  switch (vector.layout) {
    case 'number':
      return numberType(vector);
    case 'int64':
      return vector.type === 'int8' ? 'Int64' : "DateTime64(6, 'UTC')";
    case 'words4':
    case 'interned':
      return 'UUID';
    case 'bytes':
      return 'String';
    default:
      return unreachable(vector);
  }
}

function numberType({ type, values }: NumberVector): string {
  if (type === 'bool') return 'Bool';
  if (type === 'date') return 'Date32';
  return values.constructor.name.replace('Array', '').replace('Uint', 'UInt');
}

/**
 * LowCardinality: version 1, which kind of index follows and that the keys come with it, the keys, the indexes.
 * Where NULL is possible, the first key stands for it.
 * Source: ClickHouse, src/DataTypes/Serializations/SerializationLowCardinality.cpp
 */
function writeLowCardinality(out: Chunks, vector: InternedVector, dictionary: BytesVector, nullable: boolean, start: number, end: number): void {
  out.text(nullable ? 'LowCardinality(Nullable(String))' : 'LowCardinality(String)');
  const shift = nullable ? 1 : 0;
  const keys = dictionary.length + shift;
  const kind = keys <= 0x100 ? 0 : keys <= 0x1_0000 ? 1 : 2;
  out.uint64(1);
  out.uint64(hasAdditionalKeys | needsUpdate | kind);
  out.uint64(keys);
  if (nullable) out.byte(0);
  out.array(dictionary.bytes.subarray(0, dictionary.length === 0 ? 0 : dictionary.ends[dictionary.length - 1]));
  out.uint64(end - start);
  const { ids, states } = vector;
  const indexes = new [Uint8Array, Uint16Array, Uint32Array][kind]!(end - start);
  for (let row = start; row < end; row++) {
    indexes[row - start] = states !== undefined && states[row] !== State.value ? 0 : ids[row]! + shift;
  }
  out.array(indexes);
}

const hasAdditionalKeys = 1 << 9;
const needsUpdate = 1 << 10;

function expanded(ids: Uint32Array, dictionary: Words4Vector, start: number, end: number): Uint32Array {
  const words = new Uint32Array((end - start) * 4);
  const source = dictionary.words;
  for (let row = start, at = 0; row < end; row++, at += 4) {
    const from = ids[row]! * 4;
    words[at] = source[from]!;
    words[at + 1] = source[from + 1]!;
    words[at + 2] = source[from + 2]!;
    words[at + 3] = source[from + 3]!;
  }
  return words;
}

function bytesOf(kept: { bytes: Uint8Array; readonly value: number }, length: number): Uint8Array {
  if (kept.bytes.length < length) kept.bytes = new Uint8Array(length * 2).fill(kept.value);
  return kept.bytes.subarray(0, length);
}

const zeros = { bytes: new Uint8Array(65_536), value: 0 };
const ones = { bytes: new Uint8Array(1024).fill(1), value: 1 };
