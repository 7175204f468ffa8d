import type { Pool } from 'pg';
import type { BoardPlace } from './boards.ts';
import type { BoardRow } from './board.ts';

/** Gives keys the names that their dimension has now, as far as it is known in the state database. */
export async function withLabels(
  state: Pool,
  pipeline: string,
  { label }: BoardPlace,
  rows: readonly BoardRow[],
): Promise<BoardRow[]> {
  const unnamed = rows.filter((row) => row.label === null).map(({ key }) => key);
  if (unnamed.length === 0 || label === undefined) return [...rows];
  const { rows: found } = await state.query<{ key: string; label: string | null }>({
    name: 'newest-labels',
    text: `select distinct on (key) key, row ->> $3 as label from sluice.dimension_version
            where pipeline = $1 and dimension = $2 and key = any($4) order by key, position desc`,
    values: [pipeline, label.dimension, label.column, unnamed],
  });
  const names = new Map(found.map((each) => [each.key, each.label]));
  return rows.map((row) => ({ ...row, label: row.label ?? names.get(row.key) ?? null }));
}
