import type { NumberVector, Vector } from '../columns/vector.ts';
import { State } from '../columns/vector.ts';
import type { States } from './states.ts';

/**
 * SQL's three-valued logic, and 'unchanged' as a value that is not known here: 'and' of false and anything is false,
 * 'or' of true and anything is true.
 */
export function combine(op: 'and' | 'or', left: NumberVector, right: NumberVector): NumberVector {
  const { length } = left;
  const values = new Uint8Array(length);
  if (!left.states && !right.states) {
    for (let row = 0; row < length; row++)
      values[row] = op === 'and' ? left.values[row]! & right.values[row]! : left.values[row]! | right.values[row]!;
    return bool(values, undefined);
  }
  const decisive = op === 'and' ? 0 : 1;
  const states = new Uint8Array(length);
  for (let row = 0; row < length; row++) {
    const a = left.states?.[row] ?? State.value;
    const b = right.states?.[row] ?? State.value;
    if ((a === State.value && left.values[row] === decisive) || (b === State.value && right.values[row] === decisive))
      values[row] = decisive;
    else if ((a | b) === State.value) values[row] = 1 - decisive;
    else states[row] = a === State.unchanged || b === State.unchanged ? State.unchanged : State.null;
  }
  return bool(values, states);
}

export function negate(of: NumberVector): NumberVector {
  const values = new Uint8Array(of.length);
  for (let row = 0; row < values.length; row++) values[row] = 1 - of.values[row]!;
  return bool(values, of.states);
}

export function testNull({ length, states }: Vector): NumberVector {
  if (!states) return bool(new Uint8Array(length), undefined);
  const values = new Uint8Array(length);
  const unknown = new Uint8Array(length);
  let isUnknown = false;
  for (let row = 0; row < length; row++) {
    if (states[row] === State.null) values[row] = 1;
    else if (states[row] === State.unchanged) {
      unknown[row] = State.unchanged;
      isUnknown = true;
    }
  }
  return bool(values, isUnknown ? unknown : undefined);
}

function bool(values: Uint8Array, states: States): NumberVector {
  return { type: 'bool', layout: 'number', length: values.length, states, values };
}
