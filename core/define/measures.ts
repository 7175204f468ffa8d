import type { Typed } from '../expressions/expression.ts';
import type { Measure } from '../pipeline.ts';
import type { EventColumn } from './views.ts';

type Summable = Typed<'int'> | Typed<'float'> | Typed<'decimal'>;

/** How many rows. */
export function count(): Measure {
  return { kind: 'count' };
}

/**
 * The exact sum of round(of * 10^scale): integers and matches bring their scale, a float or a numeric column needs it.
 * Rows whose value is NULL, NaN, infinite or above 2^53 when scaled are not counted.
 */
export function sum(of: Summable, options?: { readonly scale: number }): Measure {
  return { kind: 'sum', of, scale: scaleOf('sum', of, options?.scale) };
}

/** The sum, as above, divided by the number of rows that it counted. */
export function avg(of: Summable, options?: { readonly scale: number }): Measure {
  return { kind: 'avg', of, scale: scaleOf('avg', of, options?.scale) };
}

/**
 * The least round(of * 10^scale), scaled and counted as by `sum`; NULL where no row has a value. What is deleted or changed
 * cannot be taken out of it: if it was the least, windows show it until they are computed anew by themselves (E15).
 */
export function min(of: Summable, options?: { readonly scale: number }): Measure {
  return { kind: 'min', of, scale: scaleOf('min', of, options?.scale) };
}

/** The greatest, likewise. */
export function max(of: Summable, options?: { readonly scale: number }): Measure {
  return { kind: 'max', of, scale: scaleOf('max', of, options?.scale) };
}

/**
 * The value that a part `q` of all rows with a value, from 0 to 1, are at or below: of n rows the ⌈q·n⌉th in ascending order, so 0.5 is the
 * lower median. Values are scaled and counted as by `sum`. It is off by less than 0.8 % of that very value, however many rows, panes and
 * retractions there are; below 128 as a scaled integer it is exact. NULL where no row has a value.
 * All quantiles of a view are of one value, and such a view counts no distinct ones.
 */
export function quantile(of: Summable, q: number, options?: { readonly scale: number }): Measure {
  if (!(q >= 0 && q <= 1)) throw new TypeError(`quantile: ${q} is not between 0 and 1; the median is quantile(…, 0.5), the 99th percentile quantile(…, 0.99)`);
  return { kind: 'quantile', of, scale: scaleOf('quantile', of, options?.scale), q };
}

/**
 * How many different values a column of the event table has, of type text, uuid, integer or boolean; NULL is none. An estimate with a standard
 * error of 1.6 %: it is within 5 % in 99.8 of 100 cases, and nearly exact below a hundred.
 * A view counts the distinct values of one column, and such a view has no quantiles.
 */
export function distinct(of: EventColumn): Measure {
  return { kind: 'distinct', of };
}

/** Rows a second of the window. */
export function rate(): Measure {
  return { kind: 'rate' };
}

function scaleOf(name: string, of: Summable, given: number | undefined): number {
  if (of.type !== 'int' && of.type !== 'float' && of.type !== 'decimal')
    throw new TypeError(`${name}: takes a number, not a ${(of as { type: string }).type}`);
  const scale = given ?? (of.type === 'int' ? 0 : of.op === 'match' || of.op === 'scaled' ? of.scale : undefined);
  if (scale === undefined)
    throw new TypeError(`${name}: how many decimal digits of a ${of.type} count? Write ${name}(…, { scale: 3 })`);
  if (!Number.isInteger(scale) || scale < 0 || scale > 15)
    throw new TypeError(`${name}: scale ${scale} is not between 0 and 15`);
  return scale;
}
