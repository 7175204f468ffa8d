import { decimalText } from './decimal.ts';
import type { Expression, ExpressionType } from './expression.ts';
import { greatestOperand, leastFactor } from './floats.ts';
import { magnitudeOf } from './magnitude.ts';

/** Under which name each table of the definition stands in the query. */
export type Aliases = Readonly<Record<string, string>>;

/**
 * An expression as plain Postgres SQL, with the same values as its kernels. A plain column keeps its own type; else the
 * type is that of `sqlTypes`.
 */
export function toSql(expression: Expression, aliases: Aliases): string {
  const sql = (each: Expression) => toSql(each, aliases);
  switch (expression.op) {
    case 'column':
      return `${quoteName(aliasOf(expression.table, aliases))}.${quoteName(expression.column)}`;
    case 'literal':
      return literal(expression.value, expression.type);
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
      return expression.type === 'int' ? integerSql(expression, aliases) : floatSql(expression, aliases);
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      return comparisonSql(expression, aliases);
    case 'and':
    case 'or':
      return `(${sql(expression.left)} ${expression.op.toUpperCase()} ${sql(expression.right)})`;
    case 'not':
      return `(NOT ${sql(expression.of)})`;
    case 'isNull':
      return `(${sql(expression.of)} IS NULL)`;
    case 'coalesce':
      return `COALESCE(${expression.of.map((of) => cast(of, expression.type, aliases)).join(', ')})`;
    case 'scaled':
      // Times a power of ten, because a division of numerics chooses its own scale.
      return `(${sql(expression.of)}::numeric * ${powerOfTen(-expression.scale)})`;
    case 'match': {
      const cases = expression.cases.map(([text, value]) => `WHEN ${quoteText(text)} THEN ${decimal(value)}`);
      return `(CASE ${textSql(expression.of, aliases)} ${cases.join(' ')} ELSE ${decimal(expression.otherwise)} END)`;
    }
  }
}

const sqlTypes: Readonly<Record<ExpressionType, string>> = {
  int: 'bigint',
  float: 'float8',
  decimal: 'numeric',
  text: 'text',
  bool: 'boolean',
  timestamptz: 'timestamptz',
  timestamp: 'timestamp',
  date: 'date',
  uuid: 'uuid',
  json: 'jsonb',
  bytes: 'bytea',
  opaque: 'text',
};

type Operation<Op extends Expression['op']> = Extract<Expression, { op: Op | Expression['op'] }> & {
  readonly op: Op;
  readonly left: Expression;
  readonly right: Expression;
};

const operators = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  eq: '=',
  ne: '<>',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
} as const;

/** In numeric, which does not overflow, and back if it fits. */
function integerSql({ op, left, right }: Operation<'add' | 'sub' | 'mul' | 'div'>, aliases: Aliases): string {
  const value = `${cast(left, 'int', aliases)}::numeric ${operators[op]} ${cast(right, 'int', aliases)}::numeric`;
  return `(SELECT CASE WHEN value BETWEEN -9223372036854775808 AND 9223372036854775807 THEN value::bigint END FROM (SELECT ${value} AS value OFFSET 0) AS _operands)`;
}

/** Operands are only tested where it is not known beforehand that they are within bounds. */
function floatSql(expression: Operation<'add' | 'sub' | 'mul' | 'div'>, aliases: Aliases): string {
  const { op, left, right } = expression;
  const isFactor = op === 'mul' || op === 'div';
  // A margin, because magnitudes are computed in floats themselves.
  const known = [left, right]
    .map(magnitudeOf)
    .every(({ least, greatest }) => greatest < greatestOperand * 1e-10 && (!isFactor || least > leastFactor * 1e10));
  const divisor = (sql: string) =>
    op !== 'div' || (right.op === 'literal' && Number(right.value) !== 0) ? sql : `NULLIF(${sql}, 0)`;
  if (known) return `(${cast(left, 'float', aliases)} ${operators[op]} ${divisor(cast(right, 'float', aliases))})`;
  const fits = (name: string) =>
    `abs(${name}) <= ${greatestOperand}${isFactor ? ` AND (abs(${name}) >= ${leastFactor} OR ${name} = 0)` : ''}`;
  // OFFSET 0 keeps the planner from copying each operand to every place where it is named.
  const operands = `(SELECT ${cast(left, 'float', aliases)} AS l, ${cast(right, 'float', aliases)} AS r OFFSET 0) AS _operands`;
  return `(SELECT CASE WHEN ${fits('l')} AND ${fits('r')} THEN l ${operators[op]} ${op === 'div' ? 'NULLIF(r, 0)' : 'r'} END FROM ${operands})`;
}

function comparisonSql(
  { op, left, right }: Operation<'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'>,
  aliases: Aliases,
): string {
  if (left.type === 'text') return `(${textSql(left, aliases)} ${operators[op]} ${textSql(right, aliases)})`;
  const type = left.type === 'int' && right.type === 'float' ? 'float' : left.type;
  return `(${cast(left, type, aliases)} ${operators[op]} ${cast(right, type, aliases)})`;
}

function textSql(expression: Expression, aliases: Aliases): string {
  return `${cast(expression, 'text', aliases)} COLLATE "C"`;
}

/** Columns have narrower types than expressions (int2, float4, varchar, an enum). */
function cast(expression: Expression, type: ExpressionType, aliases: Aliases): string {
  const sql = toSql(expression, aliases);
  if (expression.op === 'literal' && expression.type !== type) return literal(expression.value, type);
  return expression.op === 'column' || expression.type !== type ? `${sql}::${sqlTypes[type]}` : sql;
}

function aliasOf(table: string, aliases: Aliases): string {
  const alias = aliases[table];
  if (alias === undefined)
    throw new TypeError(`the query has no table ${table}; it has ${Object.keys(aliases).join(', ')}`);
  return alias;
}

function literal(value: string | number | bigint | boolean | null, type: ExpressionType): string {
  if (value === null) return `NULL::${sqlTypes[type]}`;
  return `${quoteText(Object.is(value, -0) ? '-0' : String(value))}::${sqlTypes[type]}`;
}

function decimal(value: number): string {
  return `${quoteText(decimalText(value))}::numeric`;
}

export function powerOfTen(exponent: number): string {
  return `${quoteText(exponent < 0 ? `0.${'1'.padStart(-exponent, '0')}` : `1${'0'.repeat(exponent)}`)}::numeric`;
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Right under either setting of standard_conforming_strings. */
function quoteText(text: string): string {
  const quoted = text.replaceAll("'", "''");
  return text.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}
