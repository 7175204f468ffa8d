import { discard } from '../columns/discard.ts';
import { bothStates, NullRows } from './states.ts';
import type { States } from './states.ts';

export type Floats = { readonly values: Float64Array; readonly states: States };

/** Operands beyond these magnitudes have no result, so that no result overflows or underflows, where Postgres raises. */
export const greatestOperand = 1e150;
export const leastFactor = 1e-150;

export type FloatOperator = 'add' | 'sub' | 'mul' | 'div';

/** Writes over the left operand, and is the last to see the right one: what an expression takes on its way is memory that is used again. */
export function calculateFloats(op: FloatOperator, left: Floats, right: Floats): Floats {
  const { values } = left;
  const nulls = new NullRows(bothStates(left.states, right.states), values.length);
  operators[op](values, right.values, nulls);
  discard(right.values);
  return { values, states: nulls.states };
}

type Loop = (values: Float64Array, right: Float64Array, nulls: NullRows) => void;

const operators: Record<FloatOperator, Loop> = {
  add(values, right, nulls) {
    for (let row = 0; row < values.length; row++) {
      if (isTerm(values[row]!) && isTerm(right[row]!)) values[row] = values[row]! + right[row]!;
      else nulls.clear(values, row);
    }
  },
  sub(values, right, nulls) {
    for (let row = 0; row < values.length; row++) {
      if (isTerm(values[row]!) && isTerm(right[row]!)) values[row] = values[row]! - right[row]!;
      else nulls.clear(values, row);
    }
  },
  mul(values, right, nulls) {
    for (let row = 0; row < values.length; row++) {
      if (isFactor(values[row]!) && isFactor(right[row]!)) values[row] = values[row]! * right[row]!;
      else nulls.clear(values, row);
    }
  },
  div(values, right, nulls) {
    for (let row = 0; row < values.length; row++) {
      if (isFactor(values[row]!) && isFactor(right[row]!) && right[row] !== 0) values[row] = values[row]! / right[row]!;
      else nulls.clear(values, row);
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
