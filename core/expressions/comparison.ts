import type { BytesVector, NumberVector, Words4Vector } from '../columns/vector.ts';
import { valueStart } from '../columns/vector.ts';
import type { Floats } from './floats.ts';
import { asLarge } from './integers.ts';
import type { Integers } from './integers.ts';
import { bothStates } from './states.ts';
import type { States } from './states.ts';

export type ComparisonOperator = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge';

/** Which orders make the comparison true: bit 0 less, bit 1 equal, bit 2 greater. */
const truth: Record<ComparisonOperator, number> = { lt: 0b001, eq: 0b010, gt: 0b100, le: 0b011, ge: 0b110, ne: 0b101 };

export function compareIntegers(op: ComparisonOperator, left: Integers, right: Integers): NumberVector {
  const states = bothStates(left.states, right.states);
  if (left.size === 'small' && right.size === 'small')
    return booleans(op, compareSmall(left.values, right.values), states);
  return booleans(op, compareLarge(asLarge(left), asLarge(right)), states);
}

/** NaN equals NaN and is above all, as in Postgres. */
export function compareFloats(op: ComparisonOperator, left: Floats, right: Floats): NumberVector {
  const orders = new Int8Array(left.values.length);
  for (let row = 0; row < orders.length; row++) {
    const a = left.values[row]!;
    const b = right.values[row]!;
    orders[row] = a < b ? -1 : a > b ? 1 : a === b ? 0 : (Number.isNaN(a) ? 1 : 0) - (Number.isNaN(b) ? 1 : 0);
  }
  return booleans(op, orders, bothStates(left.states, right.states));
}

/** Values in a dictionary: row r has the value at `ids[r]`. Without ids, at r. `constant`: all rows have the one value. */
export type Placed = {
  readonly values: BytesVector | Words4Vector;
  readonly ids: Uint32Array | undefined;
  readonly constant: boolean;
  readonly states: States;
};

/** Text by its bytes (collation "C"), bytea and uuid likewise. */
export function compareBytes(op: ComparisonOperator, left: Placed, right: Placed, length: number): NumberVector {
  const compare = left.values.layout === 'words4' ? compareWordsAt : compareBytesAt;
  const states = bothStates(left.states, right.states);
  if (right.constant && left.ids && left.values.length < length) {
    const { ids, values } = left;
    const known = Int8Array.from({ length: values.length }, (_, id) => compare(values, id, right.values, 0));
    return booleans(
      op,
      Int8Array.from({ length }, (_, row) => known[ids[row]!]!),
      states,
    );
  }
  const orders = new Int8Array(length);
  for (let row = 0; row < length; row++) {
    // A row without a value may have an id of nothing.
    if (states && states[row] !== 0) continue;
    orders[row] = compare(
      left.values,
      left.ids ? left.ids[row]! : row,
      right.values,
      right.ids ? right.ids[row]! : row,
    );
  }
  return booleans(op, orders, states);
}

function booleans(op: ComparisonOperator, orders: Int8Array, states: States): NumberVector {
  const mask = truth[op];
  const values = new Uint8Array(orders.length);
  for (let row = 0; row < values.length; row++) values[row] = (mask >> (orders[row]! + 1)) & 1;
  return { type: 'bool', layout: 'number', length: values.length, states, values };
}

function compareSmall(left: Float64Array, right: Float64Array): Int8Array {
  const orders = new Int8Array(left.length);
  for (let row = 0; row < orders.length; row++) orders[row] = Math.sign(left[row]! - right[row]!);
  return orders;
}

function compareLarge(left: BigInt64Array, right: BigInt64Array): Int8Array {
  const orders = new Int8Array(left.length);
  for (let row = 0; row < orders.length; row++)
    orders[row] = left[row]! < right[row]! ? -1 : left[row]! > right[row]! ? 1 : 0;
  return orders;
}

function compareBytesAt(
  left: BytesVector | Words4Vector,
  leftRow: number,
  right: BytesVector | Words4Vector,
  rightRow: number,
): number {
  const a = left as BytesVector;
  const b = right as BytesVector;
  const aStart = valueStart(a, leftRow);
  const bStart = valueStart(b, rightRow);
  const aLength = a.ends[leftRow]! - aStart;
  const bLength = b.ends[rightRow]! - bStart;
  const shared = Math.min(aLength, bLength);
  for (let at = 0; at < shared; at++) {
    const difference = a.bytes[aStart + at]! - b.bytes[bStart + at]!;
    if (difference !== 0) return Math.sign(difference);
  }
  return Math.sign(aLength - bLength);
}

/** The words from the most significant on: each half of a uuid is little-endian. */
const significance = [1, 0, 3, 2] as const;

function compareWordsAt(
  left: BytesVector | Words4Vector,
  leftRow: number,
  right: BytesVector | Words4Vector,
  rightRow: number,
): number {
  const a = (left as Words4Vector).words;
  const b = (right as Words4Vector).words;
  for (const word of significance) {
    const difference = a[leftRow * 4 + word]! - b[rightRow * 4 + word]!;
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}
