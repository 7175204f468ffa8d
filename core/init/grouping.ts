import { canBeKey } from '../define/check-source.ts';
import type { ColumnFacts, TableFacts } from './source-facts.ts';
import { declarable } from './table-fit.ts';

/** Up to so many values a column keeps its dictionary (COLUMNS.md). */
const internedValues = 4_096;

/** Columns that every published result has. */
const taken: ReadonlySet<string> = new Set(['rank', 'revision', 'final', 'window_start', 'window_end']);

export function isInterned({ type, isEnum, distinct }: ColumnFacts): boolean {
  return type === 'text' && (isEnum || (distinct !== null && distinct <= internedValues));
}

/** The column by which counting says something: one of few values, or one that refers to another table. */
export function groupingColumn(table: TableFacts, key: string, given: { readonly sendsGenerated: boolean }): ColumnFacts | undefined {
  const scored = declarable(table, given)
    .filter((column) => canBeKey({ ...column, interned: false }) && column.name !== key && !table.unique.includes(column.name) && !taken.has(column.name))
    .map((column) => ({ column, score: score(column, table) }))
    .filter((each) => each.score > 0);
  return scored.toSorted((a, b) => b.score - a.score)[0]?.column;
}

function score(column: ColumnFacts, { rows }: TableFacts): number {
  const { name, type, distinct } = column;
  // one value for all rows, or nearly one for each: no groups
  if (distinct !== null && (distinct <= 1 || (rows !== null && rows > 100 && distinct > rows / 2))) return 0;
  const reference = column.references !== null ? 60 : 0;
  const few = isInterned(column) ? 30 : 0;
  const named = /(status|state|type|kind|category|country|region|channel|device|topic|level)$/i.test(name) ? 20 : /id$/i.test(name) && type !== 'bool' ? 15 : 0;
  const counted = distinct !== null && type !== 'bool' && distinct <= 1_000 ? 5 : 0;
  return reference + few + named + counted + (type === 'bool' ? 1 : 0);
}
