import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeColumn } from '../columns/make-column.ts';
import type { ColumnType, Value, Vector } from '../columns/vector.ts';
import { State, valueAt } from '../columns/vector.ts';
import { add, and, coalesce, div, eq, isNull, match, mul, or, scaled, sub } from './build.ts';
import type { Expression, ExpressionType, Typed } from './expression.ts';
import { evaluate } from './kernels.ts';
import type { Rows } from './rows.ts';
import { evaluateScaled } from './scaled.ts';

describe('integers', () => {
  const int2 = fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 });
  const int4 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

  test('are exact where doubles are not', () => {
    const product = mul(
      mul(column<'int'>('a', 'int'), column<'int'>('b', 'int')) as Typed<'int'>,
      1001,
    ) as Typed<'int'>;
    fc.assert(
      fc.property(fc.array(fc.tuple(int2, int4), { minLength: 1 }), (pairs) => {
        const rows = rowsOf({
          a: of(
            'int2',
            pairs.map(([a]) => a),
          ),
          b: of(
            'int4',
            pairs.map(([, b]) => b),
          ),
        });
        expect(valuesOf(product, rows)).toEqual(pairs.map(([a, b]) => BigInt(a) * BigInt(b) * 1001n));
      }),
    );
  });

  test('beyond 64 bits are NULL', () => {
    const rows = rowsOf({ a: of('int8', ['9223372036854775807', '-9223372036854775808', '5']) });
    expect(valuesOf(add(column<'int'>('a', 'int'), 1), rows)).toEqual([null, -9223372036854775807n, 6n]);
    expect(valuesOf(sub(column<'int'>('a', 'int'), 1), rows)).toEqual([9223372036854775806n, null, 4n]);
  });

  test('have no negative zero', () => {
    const rows = rowsOf({ a: of('int4', [0]) });
    expect(valuesOf(mul(mul(column<'int'>('a', 'int'), -1), 0.5), rows)).toEqual([0]);
  });
});

test('thousands of rows, whose memory is given back on the way, come out as by the hundred', () => {
  const a = Array.from({ length: 5_000 }, (_, row) => (row % 7 === 0 ? null : (row * 7_919) % 1_000_003));
  const b = Array.from({ length: 5_000 }, (_, row) => (row % 11 === 0 ? null : row - 2_500));
  const slices = Array.from({ length: 50 }, (_, slice) => slice * 100);
  const rows = (start: number, end: number) => rowsOf({ a: of('int4', a.slice(start, end)), b: of('int8', b.slice(start, end)) });
  const [first, second] = [column<'int'>('a', 'int'), column<'int'>('b', 'int')];
  const expressions = [mul(add(first, second), 3), sub(7, mul(second, first)), mul(div(div(first, 1000), second), 100), add(mul(first, 0.5), sub(first, second)), eq(add(first, 1), second)];
  for (const expression of expressions) expect(valuesOf(expression, rows(0, a.length))).toEqual(slices.flatMap((start) => valuesOf(expression, rows(start, start + 100))));
  const sums = [scaled(add(first, second) as Typed<'int'>, 3), mul(first, second), div(first, 3)];
  for (const expression of sums) {
    const values = (start: number, end: number) => Array.from(evaluateScaled(expression, 2, rows(start, end)).values);
    expect(values(0, a.length)).toEqual(slices.flatMap((start) => values(start, start + 100)));
  }
});

test('a plain column is the vector itself', () => {
  const a = of('text', ['x']);
  expect(evaluate(column('a', 'text'), rowsOf({ a }))).toBe(a);
});

test('engagement: NULL where an input is missing or the length is 0', () => {
  const rows = rowsOf({ duration: of('int4', [1500, null, 1500, 1500]), length: of('int4', [30, 30, null, 0]) });
  const percent = mul(div(div(column<'int'>('duration', 'int'), 1000), column<'int'>('length', 'int')), 100);
  expect(valuesOf(percent, rows)).toEqual([5, null, null, null]);
});

describe('unchanged values', () => {
  const rows = rowsOf({
    a: withUnchanged(of('int4', [1, null, 3])),
    b: of('int4', [2, 2, null]),
    t: withUnchanged(of('text', ['x', null, 'y'])),
    no: of('bool', ['f', 'f', 'f']),
    yes: of('bool', ['t', 't', 't']),
  });
  const a = column<'int'>('a', 'int');
  const b = column<'int'>('b', 'int');

  test('stay unknown, unless the other operand decides', () => {
    expect(valuesOf(add(a, b), rows)).toEqual([undefined, null, null]);
    expect(valuesOf(isNull(a), rows)).toEqual([undefined, true, false]);
    expect(valuesOf(coalesce(a, b), rows)).toEqual([undefined, 2n, 3n]);
    expect(valuesOf(coalesce(b, a), rows)).toEqual([2n, 2n, 3n]);
    expect(valuesOf(and(column<'bool'>('no', 'bool'), eq(a, 1)), rows)).toEqual([false, false, false]);
    expect(valuesOf(or(column<'bool'>('no', 'bool'), eq(a, 3)), rows)).toEqual([undefined, null, true]);
    expect(valuesOf(or(column<'bool'>('yes', 'bool'), eq(a, 3)), rows)).toEqual([true, true, true]);
    expect(valuesOf(match(column<'text'>('t', 'text'), { y: 0.5 }, -1), rows)).toEqual([undefined, '-1', '0.5']);
  });

  test('are never summed', () => {
    expect(() => evaluateScaled(a, 0, rows)).toThrow(/REPLICA IDENTITY FULL/);
  });
});

describe('scaled values', () => {
  test.each([
    [0.49999999999999994, 0],
    [0.5, 1],
    [-0.5, -1],
    [2.5, 3],
    [-2.5, -3],
    [4503599627370495.5, 4503599627370496],
    [-4503599627370497, -4503599627370497],
    [9007199254740991, 9007199254740991],
    [9007199254740992, undefined],
    [Number.NaN, undefined],
    [Number.NEGATIVE_INFINITY, undefined],
  ])('float %d rounds half away from zero to %d', (value, expected) => {
    const { values, states } = evaluateScaled(column('a', 'float'), 0, rowsOf({ a: of('float8', [value]) }));
    expect(states?.[0] ? undefined : values[0]).toBe(expected);
  });

  test('milliseconds as seconds are exact', () => {
    const rows = rowsOf({ a: of('int4', [1, 2147483647, null, -1]) });
    expect(evaluateScaled(scaled(column<'int'>('a', 'int'), 3), 3, rows)).toEqual({
      values: Float64Array.of(1, 2147483647, 0, -1),
      states: Uint8Array.of(0, 0, 1, 0),
    });
    expect(valuesOf(scaled(column<'int'>('a', 'int'), 3), rows)).toEqual(['0.001', '2147483.647', null, '-0.001']);
  });

  test('a match is exact in its own digits', () => {
    const kinds = of('text', ['play', 'click', 'pause', null], true);
    const score = match(column<'text'>('kind', 'text'), { play: 1, finish: 1, click: 0.2 }, 0);
    expect(evaluateScaled(score, score.op === 'match' ? score.scale : -1, rowsOf({ kind: kinds })).values).toEqual(
      Float64Array.of(10, 2, 0, 0),
    );
  });

  test('decimal text is not rounded by way of a double', () => {
    const rows = rowsOf({
      a: of('numeric', [
        '1.005',
        '-1.005',
        '1.0049999999999999999999',
        'NaN',
        '90071992547409.91',
        '90071992547409.925',
      ]),
    });
    const { values, states } = evaluateScaled(column('a', 'decimal'), 2, rows);
    expect([...values]).toEqual([101, -101, 100, 0, 9007199254740991, 0]);
    expect([...states!]).toEqual([0, 0, 0, 1, 0, 1]);
  });
});

function column<T extends ExpressionType>(name: string, type: T): Typed<T> {
  return { op: 'column', table: 'events', column: name, type } as Expression as Typed<T>;
}

function of(type: ColumnType, values: readonly (string | number | null)[], interned = false): Vector {
  const made = makeColumn({ type, interned }, values.length);
  values.forEach((value, row) => (value === null ? made.setNull(row) : made.text(String(value), row)));
  return made.vector(values.length);
}

/** With its first row unchanged. */
function withUnchanged(vector: Vector): Vector {
  const states = Uint8Array.from({ length: vector.length }, (_, row) =>
    row === 0 ? State.unchanged : (vector.states?.[row] ?? State.value),
  );
  return { ...vector, states };
}

function rowsOf(columns: Readonly<Record<string, Vector>>): Rows {
  return { length: Object.values(columns)[0]!.length, column: (_, name) => columns[name]! };
}

function valuesOf(expression: Expression, rows: Rows): Value[] {
  const vector = evaluate(expression, rows);
  return Array.from({ length: rows.length }, (_, row) => valueAt(vector, row));
}
