import { discard } from '../columns/discard.ts';
import type { BytesVector } from '../columns/vector.ts';
import { State, valueStart } from '../columns/vector.ts';
import { decimalText, greatestScaled, rescale, rescaleLarge, scaledDecimal } from './decimal.ts';
import type { Expression } from './expression.ts';
import { greatestOperand } from './floats.ts';
import type { Floats } from './floats.ts';
import type { Integers } from './integers.ts';
import { evaluate, floats, integers } from './kernels.ts';
import type { Match } from './match.ts';
import { choicesOf } from './match.ts';
import type { Rows } from './rows.ts';
import { NullRows } from './states.ts';
import type { States } from './states.ts';

/** Integers in doubles. `states`: 1 where a row does not count; its value is 0, so it may be added all the same. */
export type ScaledValues = { readonly values: Float64Array; readonly states: States };

/**
 * What an accumulator adds: round(value * 10^scale) of a numeric expression, half away from zero. A row whose value is
 * NULL, NaN, infinite, or above 2^53 when scaled does not count. toScaledSql says the same.
 */
export function evaluateScaled(expression: Expression, scale: number, rows: Rows): ScaledValues {
  const scaled = scale10(expression, scale, rows);
  if (scaled.states?.includes(State.unchanged)) {
    throw new TypeError(
      'a value that the source did not send would be summed: the table needs REPLICA IDENTITY FULL. Type: ALTER TABLE … REPLICA IDENTITY FULL',
    );
  }
  const { values, states } = scaled;
  if (states) for (let row = 0; row < values.length; row++) if (states[row] !== State.value) values[row] = 0;
  return scaled;
}

/** The values are new arrays, or, of rows without a value, still to be cleared. */
function scale10(expression: Expression, scale: number, rows: Rows): ScaledValues {
  switch (expression.type) {
    case 'int':
      return scaleIntegers(integers(expression, rows), 0, scale);
    case 'float':
      return scaleFloats(floats(expression, rows), scale);
    case 'decimal':
      if (expression.op === 'match') return scaleMatch(expression, scale, rows);
      if (expression.op === 'scaled') return scaleIntegers(integers(expression.of, rows), expression.scale, scale);
      return scaleDecimals(evaluate(expression, rows) as BytesVector, scale);
    default:
      throw new TypeError(`a ${expression.type} cannot be summed`);
  }
}

function scaleIntegers(whole: Integers, from: number, to: number): ScaledValues {
  if (whole.size === 'small' && from === to) return { values: whole.values, states: whole.states };
  const values = new Float64Array(whole.values.length);
  const nulls = new NullRows(whole.states, values.length);
  for (let row = 0; row < values.length; row++) {
    const value =
      whole.size === 'small' ? rescale(whole.values[row]!, from, to) : rescaleLarge(whole.values[row]!, from, to);
    if (Number.isNaN(value)) nulls.add(row);
    else values[row] = value;
  }
  discard(whole.values);
  return { values, states: nulls.states };
}

function scaleFloats(input: Floats, scale: number): ScaledValues {
  const factor = 10 ** scale;
  const values = new Float64Array(input.values.length);
  const nulls = new NullRows(input.states, values.length);
  for (let row = 0; row < values.length; row++) {
    const value = input.values[row]! * factor;
    if (Math.abs(input.values[row]!) <= greatestOperand && Math.abs(value) <= greatestScaled)
      values[row] = roundAway(value);
    else nulls.add(row);
  }
  discard(input.values);
  return { values, states: nulls.states };
}

/** The largest double below one half: with it the addition cannot carry a smaller fraction to the next integer. */
export const belowHalf = 0.49999999999999994;

function roundAway(value: number): number {
  return Math.trunc(value + Math.sign(value) * belowHalf) + 0;
}

function scaleMatch(match: Match, scale: number, rows: Rows): ScaledValues {
  const amounts = Float64Array.from([...match.cases.map(([, amount]) => amount), match.otherwise], (amount) =>
    scaledText(decimalText(amount), scale),
  );
  const { values, states } = choicesOf(match, evaluate(match.of, rows), amounts, new Float64Array(rows.length));
  if (!amounts.some(Number.isNaN)) return { values, states };
  const nulls = new NullRows(states, values.length);
  for (let row = 0; row < values.length; row++) if (Number.isNaN(values[row]!)) nulls.add(row);
  return { values, states: nulls.states };
}

function scaleDecimals(vector: BytesVector, scale: number): ScaledValues {
  const values = new Float64Array(vector.length);
  const nulls = new NullRows(vector.states, values.length);
  for (let row = 0; row < values.length; row++) {
    if (vector.states && vector.states[row] !== State.value) continue;
    const value = scaledDecimal(vector.bytes, valueStart(vector, row), vector.ends[row]!, scale);
    if (Number.isNaN(value)) nulls.add(row);
    else values[row] = value;
  }
  return { values, states: nulls.states };
}

function scaledText(text: string, scale: number): number {
  const bytes = new TextEncoder().encode(text);
  return scaledDecimal(bytes, 0, bytes.length, scale);
}
