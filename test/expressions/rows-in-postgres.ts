import type { Client } from 'pg';
import { makeColumn } from '../../core/columns/make-column.ts';
import type { Vector } from '../../core/columns/vector.ts';
import type { Rows } from '../../core/expressions/rows.ts';
import type { ColumnSchema } from '../../core/pipeline.ts';
import type { TableColumns } from './random-expressions.ts';

/** The same rows twice: as columns, and as what a query selects from. A row is a text, or null, a column. */
export type TextRows = Readonly<Record<string, Readonly<Record<string, readonly (string | null)[]>>>>;

export function rowsOf(tables: TableColumns, values: TextRows, length: number): Rows {
  const vectors = new Map<string, Vector>();
  for (const [table, columns] of Object.entries(tables)) {
    for (const [column, schema] of Object.entries(columns))
      vectors.set(`${table}.${column}`, vectorOf(schema, values[table]![column]!));
  }
  return { length, column: (table, column) => vectors.get(`${table}.${column}`)! };
}

function vectorOf(schema: ColumnSchema, values: readonly (string | null)[]): Vector {
  const column = makeColumn(schema, values.length);
  values.forEach((value, row) => (value === null ? column.setNull(row) : column.text(value, row)));
  return column.vector(values.length);
}

/** Evaluates SQL expressions over the rows, each table under its own name. A row of the result is a text a value. */
export async function select(
  client: Client,
  tables: TableColumns,
  values: TextRows,
  expressions: readonly string[],
): Promise<(string | null)[][]> {
  const parameters: (readonly (string | null)[])[] = [];
  const from = Object.entries(tables).map(([table, columns]) => {
    const names = Object.keys(columns);
    const arrays = names.map((name) => `$${parameters.push(values[table]![name]!)}::text[]`);
    const typed = names.map((name) => `"${name}"::${postgresType(columns[name]!)} AS "${name}"`);
    return `(SELECT place, ${typed.join(', ')} FROM unnest(${arrays.join(', ')}) WITH ORDINALITY AS given(${names.map((name) => `"${name}"`).join(', ')}, place)) AS "${table}"`;
  });
  const first = Object.keys(tables)[0]!;
  const joined = from.map((table, at) => (at === 0 ? table : `JOIN ${table} USING (place)`)).join(' ');
  const { rows } = await client.query<(string | null)[]>({
    text: `SELECT ${expressions.join(', ')} FROM ${joined} ORDER BY "${first}".place`,
    values: parameters,
    rowMode: 'array',
    types: { getTypeParser: () => (text: string) => text } as never,
  });
  return rows;
}

/** Text with a collation of its own, as a source may have it: expressions must not depend on that. */
function postgresType({ type }: ColumnSchema): string {
  return type === 'text' ? 'text COLLATE "en-x-icu"' : type;
}
