import type { Expression } from './expression.ts';

/** What is known of a number's magnitude beforehand: 0 or within [least, greatest], or unknown (NaN and infinities too). */
export type Magnitude = { readonly least: number; readonly greatest: number };

const unknown: Magnitude = { least: 0, greatest: Number.POSITIVE_INFINITY };

export function magnitudeOf(expression: Expression): Magnitude {
  if (expression.type === 'int') return { least: 1, greatest: 2 ** 63 };
  switch (expression.op) {
    case 'literal': {
      const magnitude = Math.abs(Number(expression.value));
      return { least: magnitude, greatest: magnitude };
    }
    case 'add':
    case 'sub':
      // A difference can be as small as it likes.
      return { least: 0, greatest: magnitudeOf(expression.left).greatest + magnitudeOf(expression.right).greatest };
    case 'mul': {
      const [left, right] = [magnitudeOf(expression.left), magnitudeOf(expression.right)];
      return { least: left.least * right.least, greatest: left.greatest * right.greatest };
    }
    case 'div': {
      const [left, right] = [magnitudeOf(expression.left), magnitudeOf(expression.right)];
      return right.least > 0 ? { least: left.least / right.greatest, greatest: left.greatest / right.least } : unknown;
    }
    case 'coalesce': {
      const all = expression.of.map(magnitudeOf);
      return {
        least: Math.min(...all.map(({ least }) => least)),
        greatest: Math.max(...all.map(({ greatest }) => greatest)),
      };
    }
    default:
      return unknown;
  }
}
