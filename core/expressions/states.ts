import { State } from '../columns/vector.ts';

/** A byte a row as in a vector: 0 value, 1 NULL, 2 unchanged; undefined: all rows have a value. */
export type States = Uint8Array | undefined;

/** The state of a result that needs both operands: NULL if one is NULL, else unchanged if one is. */
export function bothStates(left: States, right: States): States {
  if (!left || !right) return left ?? right;
  const both = new Uint8Array(left.length);
  for (let row = 0; row < both.length; row++) {
    const either = left[row]! | right[row]!;
    both[row] = either === 3 ? State.null : either;
  }
  return both;
}

/** Rows that turned out to have no result, gathered on top of the operands' states, which stay as they are. */
export class NullRows {
  #states: States;
  readonly #length: number;
  #own = false;

  constructor(operands: States, length: number) {
    this.#states = operands;
    this.#length = length;
  }

  add(row: number): void {
    if (!this.#own) {
      this.#states = this.#states ? this.#states.slice() : new Uint8Array(this.#length);
      this.#own = true;
    }
    if (this.#states![row] === State.value) this.#states![row] = State.null;
  }

  /** The row's value is 0 then, as always where there is none. */
  clear(values: Float64Array, row: number): void {
    values[row] = 0;
    this.add(row);
  }

  get states(): States {
    return this.#states;
  }
}
