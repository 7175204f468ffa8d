import type { Column } from '../columns/column.ts';
import { Kind, int32 } from '../columns/column.ts';

/**
 * Reads the fields of a TupleData (behind its column count) into `row` and returns the offset behind the tuple. One
 * line of generated code emits only the calls, so that each call site sees one class (COLUMNS.md, decode plan).
 * `undefined` stands for a field that is passed over; columns that are `missing` in the tuple become NULL.
 */
export type TuplePlan = (bytes: Buffer, offset: number, row: number) => number;

export function tuplePlan(fields: readonly (Column | undefined)[], missing: readonly Column[] = []): TuplePlan {
  const columns = [...fields, ...missing];
  const names = columns.map((_, index) => `c${index}`);
  const calls = columns.map((field, index) => (index >= fields.length ? `c${index}.setNull(r);` : field ? `o=c${index}.read(b,o,r);` : 'o=skip(b,o);'));
  // oxlint-disable-next-line typescript/no-implied-eval -- no text from outside is in it: only numbered calls
  const build = new Function('skip', ...names, `return (b,o,r)=>{${calls.join('')}return o}`) as (skip: typeof skipField, ...columns: unknown[]) => TuplePlan;
  return build(skipField, ...columns);
}

export function skipField(bytes: Buffer, offset: number): number {
  const kind = bytes[offset];
  return kind === Kind.null || kind === Kind.unchanged ? offset + 1 : offset + 5 + int32(bytes, offset + 1);
}

/** Where field `index` of the tuple begins that starts at `offset`, behind its column count. */
export function fieldOffset(bytes: Buffer, offset: number, index: number): number {
  let at = offset;
  for (let field = 0; field < index; field++) at = skipField(bytes, at);
  return at;
}
