import type { BytesVector, Int64Vector, NumberVector, Vector, Words4Vector } from '../columns/vector.ts';
import { uuidWords } from '../columns/wide-columns.ts';
import { bytesVector, chosenBytes } from './bytes.ts';
import { choose, coalesceVectors } from './coalesce.ts';
import { compareBytes, compareFloats, compareIntegers } from './comparison.ts';
import type { Placed } from './comparison.ts';
import { decimalText, withPoint } from './decimal.ts';
import type { Expression } from './expression.ts';
import { calculateFloats } from './floats.ts';
import type { Floats } from './floats.ts';
import { asFloats, asLarge, calculate, constantInteger, integersOf, integerVector } from './integers.ts';
import type { Integers } from './integers.ts';
import { combine, negate, testNull } from './logic.ts';
import { choicesOf } from './match.ts';
import type { Rows } from './rows.ts';
import type { States } from './states.ts';

/**
 * An expression over columns, one small loop an operator. A plain column is that same vector, uncopied; everything else
 * is a new one, of the type that `computed` (define/row-schema.ts) says.
 */
export function evaluate(expression: Expression, rows: Rows): Vector {
  if (expression.op === 'column') return rows.column(expression.table, expression.column);
  switch (expression.type) {
    case 'int':
      return integerVector(integers(expression, rows));
    case 'float': {
      const { values, states } = floats(expression, rows);
      return { type: 'float8', layout: 'number', length: rows.length, states, values };
    }
    case 'bool':
      return booleans(expression, rows);
    case 'decimal':
      return decimals(expression, rows);
    default:
      return others(expression, rows);
  }
}

/** An expression of type int, on the way to something else: its values are nobody else's. */
export function integers(expression: Expression, rows: Rows): Integers {
  switch (expression.op) {
    case 'column':
      return integersOf(rows.column(expression.table, expression.column) as NumberVector | Int64Vector);
    case 'literal':
      return constantInteger(BigInt(expression.value ?? 0), rows.length, nulls(expression.value, rows.length));
    case 'add':
    case 'sub':
    case 'mul':
      return calculate(expression.op, integers(expression.left, rows), integers(expression.right, rows));
    case 'coalesce': {
      const candidates = expression.of.map((of) => integers(of, rows));
      const { from, states } = choose(candidates, rows.length);
      if (candidates.every((candidate) => candidate.size === 'small')) {
        const limit = Math.max(...candidates.map((candidate) => candidate.limit));
        return {
          size: 'small',
          values: Float64Array.from(from, (at, row) => candidates[at]!.values[row]!),
          limit,
          states,
        };
      }
      const large = candidates.map(asLarge);
      return {
        size: 'large',
        values: BigInt64Array.from({ length: rows.length }, (_, row) => large[from[row]!]![row]!),
        states,
      };
    }
    default:
      throw new TypeError(`${expression.op} does not give an integer`);
  }
}

/** An expression of type int or float, as doubles: nobody else's. */
export function floats(expression: Expression, rows: Rows): Floats {
  if (expression.type === 'int') {
    const whole = integers(expression, rows);
    return { values: asFloats(whole), states: whole.states };
  }
  switch (expression.op) {
    case 'column': {
      const { values, states } = rows.column(expression.table, expression.column) as NumberVector;
      return { values: new Float64Array(values.subarray(0, rows.length)), states };
    }
    case 'literal':
      return {
        values: new Float64Array(rows.length).fill(Number(expression.value ?? 0)),
        states: nulls(expression.value, rows.length),
      };
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
      return calculateFloats(expression.op, floats(expression.left, rows), floats(expression.right, rows));
    case 'coalesce': {
      const candidates = expression.of.map((of) => floats(of, rows));
      const { from, states } = choose(candidates, rows.length);
      return { values: Float64Array.from(from, (at, row) => candidates[at]!.values[row]!), states };
    }
    default:
      throw new TypeError(`${expression.op} does not give a float`);
  }
}

function booleans(expression: Expression, rows: Rows): NumberVector {
  switch (expression.op) {
    case 'column':
      return rows.column(expression.table, expression.column) as NumberVector;
    case 'literal': {
      const values = new Uint8Array(rows.length).fill(expression.value ? 1 : 0);
      return {
        type: 'bool',
        layout: 'number',
        length: rows.length,
        states: nulls(expression.value, rows.length),
        values,
      };
    }
    case 'and':
    case 'or':
      return combine(expression.op, booleans(expression.left, rows), booleans(expression.right, rows));
    case 'not':
      return negate(booleans(expression.of, rows));
    case 'isNull':
      return testNull(evaluate(expression.of, rows));
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      return comparison(expression, rows);
    case 'coalesce':
      return coalesceVectors(
        expression.of.map((of) => booleans(of, rows)),
        rows.length,
      ) as NumberVector;
    default:
      throw new TypeError(`${expression.op} does not give a boolean`);
  }
}

function comparison(
  { op, left, right }: Expression & { op: 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge' },
  rows: Rows,
): NumberVector {
  switch (left.type) {
    case 'int':
    case 'float':
      if (left.type === 'int' && right.type === 'int')
        return compareIntegers(op, integers(left, rows), integers(right, rows));
      return compareFloats(op, floats(left, rows), floats(right, rows));
    case 'bool':
    case 'date':
    case 'timestamp':
    case 'timestamptz': {
      const whole = (side: Expression) => integersOf(evaluate(side, rows) as NumberVector | Int64Vector);
      return compareIntegers(op, whole(left), whole(right));
    }
    case 'text':
    case 'bytes':
    case 'uuid':
      return compareBytes(op, placed(left, rows), placed(right, rows), rows.length);
    default:
      throw new TypeError(`a ${left.type} cannot be compared`);
  }
}

function placed(expression: Expression, rows: Rows): Placed {
  const vector = evaluate(expression, rows);
  const constant = expression.op === 'literal';
  if (vector.layout === 'interned')
    return { values: vector.dictionary, ids: vector.ids, constant, states: vector.states };
  return { values: vector as BytesVector | Words4Vector, ids: undefined, constant, states: vector.states };
}

/** Decimals are kept as text, as numeric columns are. */
function decimals(expression: Expression, rows: Rows): Vector {
  switch (expression.op) {
    case 'match': {
      const places = Uint32Array.from({ length: expression.cases.length + 1 }, (_, place) => place);
      const { values: which, states } = choicesOf(expression, evaluate(expression.of, rows), places, new Uint32Array(rows.length));
      const values = [...expression.cases.map(([, value]) => value), expression.otherwise].map((value) =>
        encoder.encode(decimalText(value)),
      );
      return chosenBytes('numeric', values, which, states);
    }
    case 'scaled': {
      const { values, states } = integers(expression.of, rows);
      return bytesVector(
        'numeric',
        Array.from(values as ArrayLike<number | bigint>, (value) => encoder.encode(withPoint(value, expression.scale))),
        states,
      );
    }
    default:
      return others(expression, rows);
  }
}

function others(expression: Expression, rows: Rows): Vector {
  if (expression.op === 'coalesce')
    return coalesceVectors(
      expression.of.map((of) => evaluate(of, rows)),
      rows.length,
    );
  if (expression.op === 'literal') return onlyValue(expression.value, expression.type, rows.length);
  throw new TypeError(`${expression.op} does not give a ${expression.type}`);
}

/** As a dictionary of one value. */
function onlyValue(value: string | number | bigint | boolean | null, type: Expression['type'], length: number): Vector {
  const common = { layout: 'interned', length, states: nulls(value, length), ids: new Uint32Array(length) } as const;
  switch (type) {
    case 'text':
      return {
        ...common,
        type: 'text',
        dictionary: bytesVector('text', [encoder.encode(String(value ?? ''))], undefined),
      };
    case 'uuid': {
      const words = new Uint32Array(4);
      if (value !== null) uuidWords(Buffer.from(String(value).replaceAll('-', ''), 'hex'), 0, words, 0);
      return {
        ...common,
        type: 'uuid',
        dictionary: { type: 'uuid', layout: 'words4', length: 1, states: undefined, words },
      };
    }
    default:
      throw new TypeError(`there are no literals of type ${type}`);
  }
}

const encoder = new TextEncoder();

function nulls(value: unknown, length: number): States {
  return value === null ? new Uint8Array(length).fill(1) : undefined;
}
