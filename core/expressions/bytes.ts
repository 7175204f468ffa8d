import type { BytesVector, ColumnType } from '../columns/vector.ts';
import type { States } from './states.ts';

/** A bytes vector of which each row is one of few values: `which[row]` is its place in `values`. */
export function chosenBytes(
  type: ColumnType,
  values: readonly Uint8Array[],
  which: ArrayLike<number>,
  states: States,
): BytesVector {
  const encoded = values.map(prefixed);
  const length = which.length;
  const ends = new Uint32Array(length);
  let size = 0;
  for (let row = 0; row < length; row++) ends[row] = size += encoded[which[row]!]!.length;
  const bytes = new Uint8Array(size);
  for (let row = 0; row < length; row++) {
    const value = encoded[which[row]!]!;
    bytes.set(value, ends[row]! - value.length);
  }
  return { type, layout: 'bytes', length, states, bytes, ends };
}

export function bytesVector(type: ColumnType, values: readonly Uint8Array[], states: States): BytesVector {
  return chosenBytes(
    type,
    values,
    values.map((_, row) => row),
    states,
  );
}

/** With its length in front, as ClickHouse's String. */
function prefixed(value: Uint8Array): Uint8Array {
  const prefix: number[] = [];
  let rest = value.length;
  for (; rest >= 0x80; rest >>>= 7) prefix.push((rest & 0x7f) | 0x80);
  prefix.push(rest);
  const bytes = new Uint8Array(prefix.length + value.length);
  bytes.set(prefix);
  bytes.set(value, prefix.length);
  return bytes;
}
