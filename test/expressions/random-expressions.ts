import fc from 'fast-check';
import {
  add,
  and,
  coalesce,
  div,
  eq,
  ge,
  gt,
  isNull,
  le,
  lt,
  match,
  mul,
  ne,
  not,
  or,
  scaled,
  sub,
} from '../../core/define-pipeline.ts';
import { expressionTypes } from '../../core/define/columns.ts';
import type { Expression, ExpressionType, Typed } from '../../core/expressions/expression.ts';
import type { ColumnSchema } from '../../core/pipeline.ts';

export type TableColumns = Readonly<Record<string, Readonly<Record<string, ColumnSchema>>>>;

/** Trees of every operator over these columns, of any type. */
export function expressionsOver(
  tables: TableColumns,
  deepest: number,
): { any: fc.Arbitrary<Expression>; numeric: fc.Arbitrary<Expression> } {
  const columns = Object.entries(tables).flatMap(([table, each]) =>
    Object.entries(each).map(([column, schema]): Expression => ({
      op: 'column',
      table,
      column,
      type: expressionTypes[schema.type],
    })),
  );
  const leaf = <T extends ExpressionType>(type: T) =>
    fc.constantFrom(...(columns.filter((column) => column.type === type) as Typed<T>[]));
  const number = fc.oneof(
    fc.constantFrom<number | bigint>(0, 1, -1, 2, 1000, 0.5, 0.1, -0.25, 1e-151, 2 ** 53 - 1, 2n ** 62n, -(2n ** 63n)),
    fc.integer(),
    fc
      .double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 })
      .filter((value) => !Number.isInteger(value)),
  );

  function int(depth: number): fc.Arbitrary<Typed<'int'>> {
    if (depth === 0) return leaf('int');
    const inner = int(depth - 1);
    const operand = fc.oneof(inner, fc.oneof(fc.integer(), fc.constantFrom(2n ** 53n, 2n ** 62n, -(2n ** 63n))));
    const calculated = fc
      .tuple(fc.constantFrom(add, sub, mul), inner, operand)
      .map(([op, left, right]) => op(left, right) as Typed<'int'>);
    return fc.oneof(
      leaf('int'),
      calculated,
      calculated,
      fc.tuple(inner, inner, fc.integer()).map(([a, b, c]) => coalesce(a, b, c)),
    );
  }

  function float(depth: number): fc.Arbitrary<Typed<'float'>> {
    if (depth === 0) return leaf('float');
    const either = fc.oneof(float(depth - 1), int(depth - 1));
    const mixed = fc
      .tuple(fc.constantFrom(add, sub, mul), float(depth - 1), fc.oneof(either, number))
      .map(([op, left, right]) => op(left, right) as Typed<'float'>);
    const divided = fc.tuple(either, fc.oneof(either, number)).map(([left, right]) => div(left, right));
    return fc.oneof(
      leaf('float'),
      mixed,
      divided,
      divided,
      fc.tuple(either, float(depth - 1)).map(([a, b]) => coalesce(a, b) as Typed<'float'>),
    );
  }

  function same<T extends 'text' | 'uuid' | 'timestamptz' | 'timestamp' | 'date' | 'bytes'>(
    type: T,
  ): fc.Arbitrary<Typed<T>> {
    return fc.oneof(
      leaf(type),
      fc
        .tuple(leaf(type), leaf(type))
        .map(([a, b]) => coalesce(a as Typed<'text'>, b as Typed<'text'>) as Expression as Typed<T>),
    );
  }

  const texts = fc.oneof(
    same('text'),
    fc.tuple(leaf('text'), fc.constantFrom('play', "o'clock \\", '😀')).map(([a, b]) => coalesce(a, b)),
  );
  const matched = fc
    .tuple(
      texts,
      fc.dictionary(
        fc.constantFrom('play', 'finish', 'click', '', "it's", 'back\\slash', 'ä'),
        fc.constantFrom(1, 0.2, -3.75, 1e-7, 12345.678),
      ),
      fc.constantFrom(0, -0.5, 1e-9),
    )
    .filter(([, cases]) => Object.keys(cases).length > 0)
    .map(([of, cases, otherwise]) => match(of, cases, otherwise));
  const decimals = fc.oneof(
    leaf('decimal'),
    matched,
    fc.tuple(int(1), fc.nat(6)).map(([of, digits]) => scaled(of, digits)),
    fc.tuple(leaf('decimal'), matched).map(([a, b]) => coalesce(a, b)),
  );

  function bool(depth: number): fc.Arbitrary<Typed<'bool'>> {
    if (depth === 0) return leaf('bool');
    const inner = bool(depth - 1);
    const compared = <T>(left: fc.Arbitrary<T>, right: fc.Arbitrary<unknown>) =>
      fc
        .tuple(fc.constantFrom(eq, ne, lt, le, gt, ge), left, right)
        .map(([op, a, b]) => op(a as never, b as never) as Typed<'bool'>);
    const numbers = fc.oneof(int(depth - 1), float(depth - 1));
    return fc.oneof(
      leaf('bool'),
      compared(numbers, fc.oneof(numbers, number)),
      compared(texts, fc.oneof(texts, fc.constantFrom('play', '', "it's", 'ä', 'z', 'back\\slash', '😀'))),
      compared(
        same('uuid'),
        fc.oneof(
          same('uuid'),
          fc.constantFrom('00000000-0000-0001-8000-000000000000', 'FFFFFFFF-0000-0001-8000-000000000000'),
        ),
      ),
      compared(same('timestamptz'), same('timestamptz')),
      compared(same('timestamp'), same('timestamp')),
      compared(same('date'), same('date')),
      compared(same('bytes'), same('bytes')),
      compared(inner, fc.oneof(inner, fc.boolean())),
      fc.tuple(fc.constantFrom(and, or), inner, inner).map(([op, a, b]) => op(a, b)),
      inner.map(not),
      fc.oneof(int(depth - 1), texts, decimals, inner).map(isNull),
      fc.tuple(inner, fc.boolean()).map(([a, b]) => coalesce(a, b)),
    );
  }

  const numeric = fc.oneof<fc.Arbitrary<Expression>[]>(int(deepest), float(deepest), decimals);
  return {
    numeric,
    any: fc.oneof<fc.Arbitrary<Expression>[]>(
      numeric,
      float(deepest),
      bool(deepest),
      bool(deepest),
      texts,
      same('uuid'),
      same('timestamptz'),
      same('timestamp'),
      same('date'),
      same('bytes'),
    ),
  };
}
