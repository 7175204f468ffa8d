import type { Int64Vector, NumberVector, Vector } from '../../core/columns/vector.ts';
import { State, int64At, valueAt } from '../../core/columns/vector.ts';

/**
 * ClickHouse holds times from 1900 to 2299 only. What lies outside, the infinities and BC included, is stored as the
 * nearest time inside: the start of 1900-01-01 or the last microsecond of 2299-12-31 (E10).
 */
export const earliest = -2_208_988_800_000_000n;
export const latest = 10_413_791_999_999_999n;
const earliestDay = -25_567;
const latestDay = 120_529;

/** The vector as ClickHouse will hold it: itself, unless a time must be clamped. */
export function storedVector(vector: Vector): Vector {
  if (vector.layout === 'int64' && vector.type !== 'int8') return clampedTimes(vector);
  if (vector.layout === 'number' && vector.type === 'date') return clampedDates(vector);
  return vector;
}

/** Whether two stored vectors hold the same value at these rows. */
export function isSameValue(left: Vector, leftRow: number, right: Vector, rightRow: number): boolean {
  if (left.layout === 'int64' && right.layout === 'int64' && left.states === undefined && right.states === undefined) {
    return left.words[leftRow * 2] === right.words[rightRow * 2] && left.words[leftRow * 2 + 1] === right.words[rightRow * 2 + 1];
  }
  return valueAt(left, leftRow) === valueAt(right, rightRow);
}

const lowestHigh = Number(earliest >> 32n);
const highestHigh = Number(latest >> 32n);

function clampedTimes(vector: Int64Vector): Int64Vector {
  const { words, states } = vector;
  let clamped: Int32Array | undefined;
  for (let row = 0; row < vector.length; row++) {
    const high = words[row * 2 + 1]!;
    if (high > lowestHigh && high < highestHigh) continue;
    if (states !== undefined && states[row] !== State.value) continue;
    const value = int64At(words, row);
    const inside = value < earliest ? earliest : value > latest ? latest : value;
    if (inside === value) continue;
    clamped ??= words.slice();
    clamped[row * 2] = Number(BigInt.asIntN(32, inside));
    clamped[row * 2 + 1] = Number(inside >> 32n);
  }
  return clamped ? { ...vector, words: clamped } : vector;
}

function clampedDates(vector: NumberVector): NumberVector {
  const { values } = vector;
  if (!values.some((day) => day < earliestDay || day > latestDay)) return vector;
  return { ...vector, values: Int32Array.from(values, (day) => Math.min(Math.max(day, earliestDay), latestDay)) };
}
