import { escapeIdentifier, type Pool } from 'pg';
import { type BoardContent, emptyBoard } from './board.ts';
import type { BoardPlace } from './boards.ts';

/** The newest window in a results table of the state database. */
export async function readTableBoard(state: Pool, { at, key, measure, labelName }: BoardPlace): Promise<BoardContent> {
  const table = (at.includes('.') ? at : `results.${at}`).split('.').map(escapeIdentifier).join('.');
  const label = labelName === undefined ? 'null' : escapeIdentifier(labelName);
  const { rows } = await state.query<TableRow>(
    `select window_start, window_end, revision, final, rank, ${escapeIdentifier(key)}::text as key, ${label}::text as label, ${escapeIdentifier(measure)}::text as value
       from ${table} where window_end = (select max(window_end) from ${table}) order by rank`,
  );
  const [first] = rows;
  if (!first) return emptyBoard;
  return {
    start: first.window_start.toISOString(),
    end: first.window_end.toISOString(),
    revision: first.revision,
    final: first.final,
    rows: rows.map((row) => ({ rank: row.rank, key: row.key, label: row.label, value: row.value })),
  };
}

type TableRow = {
  readonly window_start: Date;
  readonly window_end: Date;
  readonly revision: number;
  readonly final: boolean;
  readonly rank: number;
  readonly key: string;
  readonly label: string | null;
  readonly value: string;
};
