import type { BytesVector, Vector } from './vector.ts';
import { unreachable } from '../unreachable.ts';

/** A vector of these rows only, copied; a dictionary stays shared. */
export function pickRows(vector: Vector, rows: Uint32Array): Vector {
  const common = { type: vector.type, length: rows.length, states: vector.states && pickWords(vector.states, rows, 1) };
  switch (vector.layout) {
    case 'number':
      return { ...common, layout: 'number', values: pickWords(vector.values, rows, 1) };
    case 'int64':
      return { ...common, layout: 'int64', words: pickWords(vector.words, rows, 2) };
    case 'words4':
      return { ...common, layout: 'words4', words: pickWords(vector.words, rows, 4) };
    case 'bytes':
      return { ...common, layout: 'bytes', ...pickBytes(vector, rows) };
    case 'interned':
      return { ...common, layout: 'interned', ids: pickWords(vector.ids, rows, 1), dictionary: vector.dictionary };
    default:
      return unreachable(vector);
  }
}

type Words = Uint8Array | Int16Array | Int32Array | Uint32Array | Float32Array | Float64Array;

/** `width` elements a row. */
export function pickWords<A extends Words>(words: A, rows: Uint32Array, width: number): A {
  const picked = new (words.constructor as new (length: number) => A)(rows.length * width);
  for (let index = 0; index < rows.length; index++) {
    for (let word = 0; word < width; word++) picked[index * width + word] = words[rows[index]! * width + word]!;
  }
  return picked;
}

function pickBytes({ bytes, ends }: BytesVector, rows: Uint32Array): Pick<BytesVector, 'bytes' | 'ends'> {
  const begin = (row: number) => (row === 0 ? 0 : ends[row - 1]!);
  const size = rows.reduce((sum, row) => sum + ends[row]! - begin(row), 0);
  const picked = { bytes: new Uint8Array(size), ends: new Uint32Array(rows.length) };
  let at = 0;
  rows.forEach((row, index) => {
    picked.bytes.set(bytes.subarray(begin(row), ends[row]), at);
    at += ends[row]! - begin(row);
    picked.ends[index] = at;
  });
  return picked;
}
