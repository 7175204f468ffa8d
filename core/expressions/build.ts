import { decimalDigits, greatestScaled } from './decimal.ts';
import type { Expression, ExpressionType, Typed } from './expression.ts';

/** The builders of expressions. A JavaScript value stands for a literal of the type that its place asks for. */
export type Numeric = Typed<'int'> | Typed<'float'>;
type NumericOperand = Numeric | number | bigint;

export function add(left: NumericOperand, right: NumericOperand): Numeric {
  return arithmetic('add', left, right);
}

export function sub(left: NumericOperand, right: NumericOperand): Numeric {
  return arithmetic('sub', left, right);
}

export function mul(left: NumericOperand, right: NumericOperand): Numeric {
  return arithmetic('mul', left, right);
}

/** Always a float, whatever the operands are; a divisor 0 gives NULL. */
export function div(left: NumericOperand, right: NumericOperand): Typed<'float'> {
  return arithmetic('div', left, right) as Typed<'float'>;
}

type Comparable = 'int' | 'float' | 'text' | 'bool' | 'uuid' | 'timestamptz' | 'timestamp' | 'date' | 'bytes';

/** What a value of type T can be compared with: numbers among themselves, else the same type. */
type Peer<T extends ExpressionType> = T extends 'int' | 'float'
  ? NumericOperand
  : T extends 'text' | 'uuid'
    ? Typed<T> | string
    : T extends 'bool'
      ? Typed<T> | boolean
      : Typed<T>;

export function eq<T extends Comparable>(left: Typed<T>, right: Peer<T>): Typed<'bool'> {
  return comparison('eq', left, right);
}

export function ne<T extends Comparable>(left: Typed<T>, right: Peer<T>): Typed<'bool'> {
  return comparison('ne', left, right);
}

export function lt<T extends Comparable>(left: Typed<T>, right: Peer<T>): Typed<'bool'> {
  return comparison('lt', left, right);
}

export function le<T extends Comparable>(left: Typed<T>, right: Peer<T>): Typed<'bool'> {
  return comparison('le', left, right);
}

export function gt<T extends Comparable>(left: Typed<T>, right: Peer<T>): Typed<'bool'> {
  return comparison('gt', left, right);
}

export function ge<T extends Comparable>(left: Typed<T>, right: Peer<T>): Typed<'bool'> {
  return comparison('ge', left, right);
}

export function and(first: Typed<'bool'>, ...rest: readonly Typed<'bool'>[]): Typed<'bool'> {
  return rest.reduce(
    (left, right): Typed<'bool'> => ({ op: 'and', left: bool(left), right: bool(right), type: 'bool' }),
    bool(first),
  );
}

export function or(first: Typed<'bool'>, ...rest: readonly Typed<'bool'>[]): Typed<'bool'> {
  return rest.reduce(
    (left, right): Typed<'bool'> => ({ op: 'or', left: bool(left), right: bool(right), type: 'bool' }),
    bool(first),
  );
}

export function not(of: Typed<'bool'>): Typed<'bool'> {
  return { op: 'not', of: bool(of), type: 'bool' };
}

export function isNull(of: Expression): Typed<'bool'> {
  return { op: 'isNull', of, type: 'bool' };
}

/** The first value that is not NULL. All of one type, but integers may stand beside floats. */
export function coalesce<T extends ExpressionType>(first: Typed<T>, ...rest: readonly Peer<T>[]): Typed<T> {
  const of = [first, ...rest.map((each) => operand(each, first.type))];
  const types = new Set(of.map((each) => each.type));
  if (types.size === 2 && types.has('int') && types.has('float'))
    return { op: 'coalesce', of, type: 'float' } as Expression as Typed<T>;
  if (types.has('json') || types.has('opaque'))
    throw new TypeError(`coalesce: cannot choose among values of type ${first.type}`);
  if (types.size > 1)
    throw new TypeError(`coalesce: ${[...types].join(' and ')} have no common type; make them one type first`);
  return { op: 'coalesce', of, type: first.type } as Expression as Typed<T>;
}

/** An integer that counts small units, read as a decimal: `scaled(events.duration_ms, 3)` is seconds, exactly. */
export function scaled(of: Typed<'int'>, digits: number): Typed<'decimal'> {
  if (of.type !== 'int') throw new TypeError(`scaled: takes an integer, not a ${of.type}`);
  return { op: 'scaled', of, scale: scaleWithin(digits), type: 'decimal' };
}

/** A number by the value of a text: `match(events.event_type, { play: 1, click: 0.2 }, 0)`. Exact, never a float. */
export function match(of: Typed<'text'>, cases: Readonly<Record<string, number>>, otherwise = 0): Typed<'decimal'> {
  if (of.type !== 'text') throw new TypeError(`match: takes a text, not a ${of.type}`);
  const values = [...Object.values(cases), otherwise];
  for (const value of values)
    if (!Number.isFinite(value)) throw new TypeError(`match: ${value} is not a finite number`);
  const scale = scaleWithin(Math.max(...values.map(decimalDigits)));
  for (const value of values)
    if (Math.abs(value) * 10 ** scale > greatestScaled)
      throw new TypeError(`match: ${value} with ${scale} decimal digits is beyond 2^53`);
  if (Object.keys(cases).some((text) => text.includes('\0')))
    throw new TypeError('match: a text cannot hold a zero character');
  return { op: 'match', of, cases: Object.entries(cases), otherwise, scale, type: 'decimal' };
}

function arithmetic(op: 'add' | 'sub' | 'mul' | 'div', left: NumericOperand, right: NumericOperand): Numeric {
  const operands = { left: operand(left, 'int'), right: operand(right, 'int') };
  for (const { type } of Object.values(operands)) {
    if (type !== 'int' && type !== 'float') throw new TypeError(`${op}: takes integers and floats, not a ${type}`);
  }
  const exact = op !== 'div' && operands.left.type === 'int' && operands.right.type === 'int';
  return { op, ...operands, type: exact ? 'int' : 'float' } as Numeric;
}

const comparable: ReadonlySet<ExpressionType> = new Set<Comparable>([
  'int',
  'float',
  'text',
  'bool',
  'uuid',
  'timestamptz',
  'timestamp',
  'date',
  'bytes',
]);

function comparison(op: 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge', left: Expression, other: unknown): Typed<'bool'> {
  const right = operand(other, left.type);
  const kind = (type: ExpressionType) => (type === 'float' ? 'int' : type);
  if (!comparable.has(left.type) || kind(left.type) !== kind(right.type)) {
    throw new TypeError(`${op}: cannot compare a ${left.type} with a ${right.type}`);
  }
  return { op, left, right, type: 'bool' };
}

function bool(expression: Expression): Typed<'bool'> {
  if (expression.type !== 'bool') throw new TypeError(`a condition must be a boolean, not a ${expression.type}`);
  return expression as Typed<'bool'>;
}

/** A literal takes its type from its value; a string beside a uuid is a uuid. */
function operand(value: unknown, beside: ExpressionType): Expression {
  switch (typeof value) {
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`the literal ${value} is not a finite number`);
      if (!Number.isInteger(value)) return { op: 'literal', value, type: 'float' };
      if (!Number.isSafeInteger(value))
        throw new TypeError(`the literal ${value} is beyond 2^53, where numbers are not exact: write it as a bigint`);
      return { op: 'literal', value: value + 0, type: 'int' };
    case 'bigint':
      if (BigInt.asIntN(64, value) !== value) throw new TypeError(`the literal ${value} does not fit 64 bits`);
      return { op: 'literal', value, type: 'int' };
    case 'boolean':
      return { op: 'literal', value, type: 'bool' };
    case 'string':
      if (value.includes('\0')) throw new TypeError('a text literal cannot hold a zero character');
      if (beside !== 'uuid') return { op: 'literal', value, type: 'text' };
      if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value))
        throw new TypeError(`not a uuid: ${JSON.stringify(value)}`);
      return { op: 'literal', value: value.toLowerCase(), type: 'uuid' };
    default:
      if (typeof value === 'object' && value !== null && 'op' in value) return value as Expression;
      throw new TypeError(`${String(value)} is neither an expression nor a literal`);
  }
}

function scaleWithin(scale: number): number {
  if (!Number.isInteger(scale) || scale < 0 || scale > 15)
    throw new TypeError(`${scale} decimal digits: between 0 and 15 are possible`);
  return scale;
}
