/**
 * A column of values, read side. Layouts follow ClickHouse's Native format, so that a sink sends them uncopied
 * (COLUMNS.md). `states` has a byte a row: 0 value, 1 NULL, 2 unchanged (a TOAST value that the source did not send);
 * `undefined` means every row has a value. What a layout holds at a row that has no value is undefined.
 */
export type Vector = NumberVector | Int64Vector | Words4Vector | BytesVector | InternedVector;

/** A Postgres type as Sluice keeps it apart. `other` is any type without a representation of its own: its text. */
export type ColumnType =
  | 'bool'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'oid'
  | 'float4'
  | 'float8'
  | 'numeric'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'uuid'
  | 'text'
  | 'json'
  | 'jsonb'
  | 'bytea'
  | 'other';

export const State = { value: 0, null: 1, unchanged: 2 } as const;

type Common = { readonly type: ColumnType; readonly length: number; readonly states: Uint8Array | undefined };

/** bool, int2, int4, oid, float4, float8, and date as days since 1970. */
export type NumberVector = Common & { readonly layout: 'number'; readonly values: NumberArray };
export type NumberArray = Uint8Array | Int16Array | Int32Array | Uint32Array | Float32Array | Float64Array;

/** int8, and timestamps as microseconds since 1970 (infinities are the int64 extremes): low and high word a row. */
export type Int64Vector = Common & { readonly layout: 'int64'; readonly words: Int32Array };

/** uuid, in ClickHouse's order: each half of 8 bytes little-endian. */
export type Words4Vector = Common & { readonly layout: 'words4'; readonly words: Uint32Array };

/** Values as a varint length and that many bytes, one after another; `ends[row]` is where the row's value ends. */
export type BytesVector = Common & { readonly layout: 'bytes'; readonly bytes: Uint8Array; readonly ends: Uint32Array };

/** A dictionary of distinct values, and for each row its place in it. */
export type InternedVector = Common & {
  readonly layout: 'interned';
  readonly ids: Uint32Array;
  readonly dictionary: BytesVector | Words4Vector;
};

/** Where the value of a row begins, past its varint length. */
export function valueStart(vector: BytesVector, row: number): number {
  let at = row === 0 ? 0 : vector.ends[row - 1]!;
  while (vector.bytes[at]! >= 0x80) at++;
  return at + 1;
}

/** U+FEFF in front is part of a text, as it is to Postgres. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The text of a row's bytes; for tests, messages and keys, not for the hot path. */
export function textAt(vector: BytesVector, row: number): string {
  return decoder.decode(vector.bytes.subarray(valueStart(vector, row), vector.ends[row]));
}

export function int64At(words: Int32Array, row: number): bigint {
  return (BigInt(words[row * 2 + 1]!) << 32n) | BigInt(words[row * 2]! >>> 0);
}

/** The nearest double: exact below 2^53 in magnitude. */
export function int64AsNumber(words: Int32Array, row: number): number {
  return words[row * 2 + 1]! * 4294967296 + (words[row * 2]! >>> 0);
}

export function uuidAt(words: Uint32Array, row: number): string {
  const digits = (word: number) => words[row * 4 + word]!.toString(16).padStart(8, '0');
  const high = digits(1) + digits(0);
  const low = digits(3) + digits(2);
  return `${high.slice(0, 8)}-${high.slice(8, 12)}-${high.slice(12)}-${low.slice(0, 4)}-${low.slice(4)}`;
}

export type Value = null | undefined | boolean | number | bigint | string | Uint8Array;

/** A row's value as JavaScript: NULL is null, 'unchanged' is undefined, 64-bit integers and timestamps are bigint. */
export function valueAt(vector: Vector, row: number): Value {
  const state = vector.states?.[row] ?? State.value;
  if (state !== State.value) return state === State.null ? null : undefined;
  switch (vector.layout) {
    case 'number':
      return vector.type === 'bool' ? vector.values[row] === 1 : vector.values[row]!;
    case 'int64':
      return int64At(vector.words, row);
    case 'words4':
      return uuidAt(vector.words, row);
    case 'bytes':
      return vector.type === 'bytea' ? vector.bytes.slice(valueStart(vector, row), vector.ends[row]) : textAt(vector, row);
    case 'interned':
      return valueAt(vector.dictionary, vector.ids[row]!);
  }
}
