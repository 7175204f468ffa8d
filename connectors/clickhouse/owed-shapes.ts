import type { Queryable } from '../postgres/state/state.ts';
import { dropColumns, reshapeTable } from './reshape-table.ts';
import type { SinkTable } from './table.ts';

/** What a migration would do to the table of a lane that is detached is put on record instead: its destination may be away, and nothing waits for it. */
export async function oweShape(state: Queryable, { pipeline, lane, number }: { readonly pipeline: string; readonly lane: string; readonly number: number }, forms: readonly SinkTable[], after: SinkTable): Promise<void> {
  await state.query(
    'insert into sluice.owed_shape (pipeline, lane, number, forms, after) values ($1, $2, $3, $4, $5) on conflict (pipeline, lane, number) do update set forms = excluded.forms, after = excluded.after',
    [pipeline, lane, number, JSON.stringify(forms), JSON.stringify(after)],
  );
}

/** What migrations that are done have left undone in the table of a lane is done, before anything else becomes of it. Throws ConfigurationError as `reshapeTable`. */
export async function payShapes(state: Queryable, url: string, pipeline: string, lane: string): Promise<void> {
  const { rows } = await state.query<{ number: number; forms: readonly SinkTable[]; after: SinkTable }>(
    "select number, forms, after from sluice.owed_shape join sluice.schema_change using (pipeline, number) where pipeline = $1 and lane = $2 and state = 'done' order by number",
    [pipeline, lane],
  );
  for (const { number, forms, after } of rows) {
    await reshapeTable(url, forms, after, `Then type ./sluice apply ${pipeline} again; or let it make the table anew: DROP TABLE ${after.name}`);
    await dropColumns(url, forms, after);
    await state.query('delete from sluice.owed_shape where pipeline = $1 and lane = $2 and number = $3', [pipeline, lane, number]);
  }
}
