import { discard } from '../columns/discard.ts';
import type { Int64Vector, NumberVector } from '../columns/vector.ts';
import { int64At } from '../columns/vector.ts';
import { bothStates, NullRows } from './states.ts';
import type { States } from './states.ts';

/**
 * Exact 64-bit integers while an expression is evaluated: as doubles as long as none is above `limit`, which is below
 * 2^53, else as 64-bit integers.
 */
export type Integers = Small | Large;
type Small = { readonly size: 'small'; readonly values: Float64Array; readonly limit: number; readonly states: States };
type Large = { readonly size: 'large'; readonly values: BigInt64Array; readonly states: States };

export function integersOf(vector: NumberVector | Int64Vector): Integers {
  const { length, states } = vector;
  if (vector.layout === 'number') {
    const limit = vector.values.BYTES_PER_ELEMENT === 4 ? 2 ** 31 : 2 ** 15;
    return { size: 'small', values: new Float64Array(vector.values.subarray(0, length)), limit, states };
  }
  const values = new Float64Array(length);
  let limit = 0;
  for (let row = 0; row < length; row++) {
    const value = vector.words[row * 2 + 1]! * 4294967296 + (vector.words[row * 2]! >>> 0);
    values[row] = value;
    if (value > limit) limit = value;
    else if (-value > limit) limit = -value;
  }
  if (limit <= Number.MAX_SAFE_INTEGER) return { size: 'small', values, limit, states };
  return { size: 'large', values: BigInt64Array.from({ length }, (_, row) => int64At(vector.words, row)), states };
}

export function constantInteger(value: bigint, length: number, states: States): Integers {
  const number = Number(value);
  if (Number.isSafeInteger(number))
    return { size: 'small', values: new Float64Array(length).fill(number), limit: Math.abs(number), states };
  return { size: 'large', values: new BigInt64Array(length).fill(value), states };
}

/** The last to see them. */
export function integerVector(integers: Integers): Int64Vector {
  const { states } = integers;
  const { length } = integers.values;
  const words = new Int32Array(length * 2);
  if (integers.size === 'large') new BigInt64Array(words.buffer).set(integers.values);
  else {
    for (let row = 0; row < length; row++) {
      const value = integers.values[row]!;
      const high = Math.floor(value / 4294967296);
      words[row * 2] = value - high * 4294967296;
      words[row * 2 + 1] = high;
    }
  }
  discard(integers.values);
  return { type: 'int8', layout: 'int64', length, states, words };
}

/** The nearest doubles, as Postgres' cast to float8. */
export function asFloats(integers: Integers): Float64Array {
  return integers.size === 'small' ? integers.values : Float64Array.from(integers.values, Number);
}

export function asLarge(integers: Integers): BigInt64Array {
  return integers.size === 'large' ? integers.values : BigInt64Array.from(integers.values, BigInt);
}

export type IntegerOperator = 'add' | 'sub' | 'mul';

/** Writes over the left operand, and is the last to see the right one. */
export function calculate(op: IntegerOperator, left: Integers, right: Integers): Integers {
  const states = bothStates(left.states, right.states);
  if (left.size === 'small' && right.size === 'small') {
    const limit = op === 'mul' ? left.limit * right.limit : left.limit + right.limit;
    if (limit <= Number.MAX_SAFE_INTEGER) {
      const values = small[op](left.values, right.values);
      discard(right.values);
      return { size: 'small', values, limit, states };
    }
  }
  return calculateLarge(large[op], asLarge(left), asLarge(right), states);
}

const small = {
  add(left: Float64Array, right: Float64Array): Float64Array {
    for (let row = 0; row < left.length; row++) left[row] = left[row]! + right[row]!;
    return left;
  },
  sub(left: Float64Array, right: Float64Array): Float64Array {
    for (let row = 0; row < left.length; row++) left[row] = left[row]! - right[row]!;
    return left;
  },
  mul(left: Float64Array, right: Float64Array): Float64Array {
    // + 0 makes 0 of -0, which integers do not have.
    for (let row = 0; row < left.length; row++) left[row] = left[row]! * right[row]! + 0;
    return left;
  },
} satisfies Record<IntegerOperator, unknown>;

const large = {
  add: (left: bigint, right: bigint) => left + right,
  sub: (left: bigint, right: bigint) => left - right,
  mul: (left: bigint, right: bigint) => left * right,
} satisfies Record<IntegerOperator, unknown>;

function calculateLarge(
  operator: (left: bigint, right: bigint) => bigint,
  left: BigInt64Array,
  right: BigInt64Array,
  operands: States,
): Integers {
  const nulls = new NullRows(operands, left.length);
  for (let row = 0; row < left.length; row++) {
    const value = operator(left[row]!, right[row]!);
    left[row] = value;
    if (left[row] !== value) nulls.add(row);
  }
  return { size: 'large', values: left, states: nulls.states };
}
