import type { Vector } from '../columns/vector.ts';

/** The rows that an expression is evaluated over: for each table, its columns, all of one length. */
export type Rows = {
  readonly length: number;
  column(table: string, column: string): Vector;
};
