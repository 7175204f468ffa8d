import { bothStates, NullRows } from './states.ts';
import type { States } from './states.ts';

export type Floats = { readonly values: Float64Array; readonly states: States };

/** Operands beyond these magnitudes have no result, so that no result overflows or underflows, where Postgres raises. */
export const greatestOperand = 1e150;
export const leastFactor = 1e-150;

export type FloatOperator = 'add' | 'sub' | 'mul' | 'div';

export function calculateFloats(op: FloatOperator, left: Floats, right: Floats): Floats {
  const values = new Float64Array(left.values.length);
  const nulls = new NullRows(bothStates(left.states, right.states), values.length);
  operators[op](left.values, right.values, values, nulls);
  return { values, states: nulls.states };
}

type Loop = (left: Float64Array, right: Float64Array, values: Float64Array, nulls: NullRows) => void;

const operators: Record<FloatOperator, Loop> = {
  add(left, right, values, nulls) {
    for (let row = 0; row < values.length; row++) {
      if (isTerm(left[row]!) && isTerm(right[row]!)) values[row] = left[row]! + right[row]!;
      else nulls.add(row);
    }
  },
  sub(left, right, values, nulls) {
    for (let row = 0; row < values.length; row++) {
      if (isTerm(left[row]!) && isTerm(right[row]!)) values[row] = left[row]! - right[row]!;
      else nulls.add(row);
    }
  },
  mul(left, right, values, nulls) {
    for (let row = 0; row < values.length; row++) {
      if (isFactor(left[row]!) && isFactor(right[row]!)) values[row] = left[row]! * right[row]!;
      else nulls.add(row);
    }
  },
  div(left, right, values, nulls) {
    for (let row = 0; row < values.length; row++) {
      if (isFactor(left[row]!) && isFactor(right[row]!) && right[row] !== 0) values[row] = left[row]! / right[row]!;
      else nulls.add(row);
    }
  },
};

function isTerm(value: number): boolean {
  return Math.abs(value) <= greatestOperand;
}

function isFactor(value: number): boolean {
  const magnitude = Math.abs(value);
  return magnitude <= greatestOperand && (magnitude >= leastFactor || magnitude === 0);
}
