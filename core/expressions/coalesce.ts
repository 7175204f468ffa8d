import type { BytesVector, Int64Vector, NumberVector, Vector, Words4Vector } from '../columns/vector.ts';
import { State } from '../columns/vector.ts';
import type { States } from './states.ts';

/**
 * From which of the vectors each row comes: the first that is not NULL (one that is unchanged decides too), or the last.
 */
export function choose(
  candidates: readonly { readonly states: States }[],
  length: number,
): { readonly from: Uint8Array; readonly states: States } {
  const from = new Uint8Array(length);
  const states = new Uint8Array(length);
  for (let row = 0; row < length; row++) {
    let at = 0;
    while (at < candidates.length - 1 && candidates[at]!.states?.[row] === State.null) at++;
    from[row] = at;
    states[row] = candidates[at]!.states?.[row] ?? State.value;
  }
  return { from, states: states.some((state) => state !== State.value) ? states : undefined };
}

/** The first value of each row that is not NULL, of vectors of one type. */
export function coalesceVectors(vectors: readonly Vector[], length: number): Vector {
  const { from, states } = choose(vectors, length);
  const [first] = vectors as [Vector];
  const layout = first.layout === 'interned' ? first.dictionary.layout : first.layout;
  switch (layout) {
    case 'number': {
      const values = (first as NumberVector).values.slice(0, length);
      for (let row = 0; row < length; row++) values[row] = (vectors[from[row]!] as NumberVector).values[row]!;
      return { type: first.type, layout, length, states, values };
    }
    case 'int64': {
      const words = new Int32Array(length * 2);
      for (let row = 0; row < words.length; row++) words[row] = (vectors[from[row >> 1]!] as Int64Vector).words[row]!;
      return { type: first.type, layout, length, states, words };
    }
    case 'words4': {
      const words = new Uint32Array(length * 4);
      for (let row = 0; row < length; row++) {
        if (states && states[row] !== State.value) continue;
        const { values, at } = placeOf<Words4Vector>(vectors[from[row]!]!, row);
        for (let word = 0; word < 4; word++) words[row * 4 + word] = values.words[at * 4 + word]!;
      }
      return { type: first.type, layout, length, states, words };
    }
    case 'bytes':
      return coalesceBytes(vectors, from, states);
  }
}

function coalesceBytes(vectors: readonly Vector[], from: Uint8Array, states: States): BytesVector {
  const length = from.length;
  const ends = new Uint32Array(length);
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let row = 0; row < length; row++) {
    const part = states && states[row] !== State.value ? empty : encodedAt(vectors[from[row]!]!, row);
    parts.push(part);
    ends[row] = size += part.length;
  }
  const bytes = new Uint8Array(size);
  for (let row = 0; row < length; row++) bytes.set(parts[row]!, ends[row]! - parts[row]!.length);
  return { type: vectors[0]!.type, layout: 'bytes', length, states, bytes, ends };
}

/** An empty value still has its length. */
const empty = new Uint8Array(1);

function encodedAt(vector: Vector, row: number): Uint8Array {
  const { values, at } = placeOf<BytesVector>(vector, row);
  return values.bytes.subarray(at === 0 ? 0 : values.ends[at - 1], values.ends[at]);
}

function placeOf<V extends Vector>(vector: Vector, row: number): { values: V; at: number } {
  return vector.layout === 'interned'
    ? { values: vector.dictionary as Vector as V, at: vector.ids[row]! }
    : { values: vector as V, at: row };
}
