import type { ColumnType } from '../columns/vector.ts';
import type { Expression, ExpressionType } from '../expressions/expression.ts';
import type { ColumnSchema, Pipeline, Text } from '../pipeline.ts';

/** The type of each column of an enriched row, in order. What a sink's table looks like comes from here. */
export function rowSchema({
  source: { events, dimensions },
  row,
}: Pipeline<Text>): Readonly<Record<string, ColumnSchema>> {
  const schemaOf = (expression: Expression): ColumnSchema => {
    if (expression.op !== 'column')
      return { type: computed[expression.type], nullable: canBeNull(expression, schemaOf), interned: false };
    if (expression.table === 'events') return events.columns[expression.column]!;
    // An event may have no row in the dimension.
    return { ...dimensions[expression.table]!.columns[expression.column]!, nullable: true };
  };
  return Object.fromEntries(Object.entries(row).map(([name, expression]) => [name, schemaOf(expression)]));
}

/** The column type that evaluating an expression gives, unless it is a column itself. */
export const computed = {
  int: 'int8',
  float: 'float8',
  decimal: 'numeric',
  text: 'text',
  bool: 'bool',
  timestamptz: 'timestamptz',
  timestamp: 'timestamp',
  date: 'date',
  uuid: 'uuid',
  json: 'jsonb',
  bytes: 'bytea',
  opaque: 'other',
} as const satisfies Record<ExpressionType, ColumnType>;

function canBeNull(expression: Expression, schemaOf: (column: Expression) => ColumnSchema): boolean {
  const inner = (each: Expression) => canBeNull(each, schemaOf);
  switch (expression.op) {
    case 'column':
      return schemaOf(expression).nullable;
    case 'literal':
      return expression.value === null;
    case 'match':
    case 'isNull':
      return false;
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
      return true;
    case 'coalesce':
      return expression.of.every(inner);
    case 'not':
    case 'scaled':
      return inner(expression.of);
    default:
      return inner(expression.left) || inner(expression.right);
  }
}
