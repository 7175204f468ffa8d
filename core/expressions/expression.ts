/**
 * A typed column expression as data, made by build.ts: compiled to column kernels (kernels.ts) and to SQL (sql.ts), with
 * the same results. NULL rules are SQL's. Types: `int` is an exact 64-bit integer, `float` a double, `decimal` exact
 * (a numeric column, a match, a scaled integer).
 */
export type Expression =
  | { readonly op: 'column'; readonly table: string; readonly column: string; readonly type: ExpressionType }
  | { readonly op: 'literal'; readonly value: string | number | bigint | boolean | null; readonly type: ExpressionType }
  /**
   * Integers whose result is beyond 64 bits give NULL. `div` and everything with a float operand are float8: NULL if an
   * operand is NaN, infinite or above 1e150 in magnitude, for mul and div also if one is below 1e-150 and not 0, and for
   * a divisor 0. So no result overflows or underflows.
   */
  | {
      readonly op: 'add' | 'sub' | 'mul' | 'div';
      readonly left: Expression;
      readonly right: Expression;
      readonly type: ExpressionType;
    }
  /** Text compares by bytes (collation "C"), floats as in Postgres: NaN equals NaN and is above all. */
  | {
      readonly op: 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge';
      readonly left: Expression;
      readonly right: Expression;
      readonly type: 'bool';
    }
  | { readonly op: 'and' | 'or'; readonly left: Expression; readonly right: Expression; readonly type: 'bool' }
  | { readonly op: 'not' | 'isNull'; readonly of: Expression; readonly type: 'bool' }
  | { readonly op: 'coalesce'; readonly of: readonly Expression[]; readonly type: ExpressionType }
  /** An integer read as a decimal with `scale` digits, exactly: 1500 with scale 3 is 1.5. */
  | { readonly op: 'scaled'; readonly of: Expression; readonly scale: number; readonly type: 'decimal' }
  /** The literal of the first equal case, else `otherwise`; a NULL input gives `otherwise`, as CASE does. */
  | {
      readonly op: 'match';
      readonly of: Expression;
      readonly cases: readonly (readonly [string, number])[];
      readonly otherwise: number;
      /** Decimal digits that the literals have: they are exact as integers times 10^scale. */
      readonly scale: number;
      readonly type: 'decimal';
    };

export type ExpressionType =
  | 'int'
  | 'float'
  | 'decimal'
  | 'text'
  | 'bool'
  | 'timestamptz'
  | 'timestamp'
  | 'date'
  | 'uuid'
  | 'json'
  | 'bytes'
  | 'opaque';

/** The expressions whose value has type T. */
export type Typed<T extends ExpressionType> = Expression & { readonly type: T };

/** The columns that an expression reads, each once. */
export function columnsIn(expression: Expression): readonly { readonly table: string; readonly column: string }[] {
  const found = new Map<string, { table: string; column: string }>();
  visit(expression, (node) => {
    if (node.op === 'column') found.set(`${node.table}.${node.column}`, { table: node.table, column: node.column });
  });
  return [...found.values()];
}

function visit(expression: Expression, see: (node: Expression) => void): void {
  see(expression);
  switch (expression.op) {
    case 'column':
    case 'literal':
      return;
    case 'not':
    case 'isNull':
    case 'scaled':
    case 'match':
      return visit(expression.of, see);
    case 'coalesce':
      return expression.of.forEach((of) => visit(of, see));
    default:
      visit(expression.left, see);
      visit(expression.right, see);
  }
}
