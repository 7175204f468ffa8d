import type { LoadedDefinition } from '../../core/define/definition-hash.ts';
import { isOver, type MigrationState } from '../../core/migration/migration-state.ts';
import type { Decision, TableChanges } from '../../core/migration/plan.ts';
import type { SchemaChange, SourceColumns } from '../../core/migration/schema-change.ts';
import type { Shape } from '../../core/migration/shape.ts';
import { loadAnew } from '../../core/load-anew.ts';
import type { Position } from '../../core/position.ts';
import { ConfigurationError } from '../sink.ts';
import type { Queryable, State } from './state/state.ts';
import { inTransaction } from './state/state.ts';

/** What was decided of a pipeline's columns, oldest first. It stays when the pipeline is loaded anew: the source is still so. */
export async function readShapes(state: Queryable, pipeline: string): Promise<readonly { readonly number: number; readonly shape: Shape }[]> {
  const { rows } = await state.query<{ number: number; shape: Shape }>({
    name: 'read shapes',
    text: "select number, shape from sluice.schema_change where pipeline = $1 and state = 'done' and shape is not null order by number",
    values: [pipeline],
  });
  return rows;
}

/** Undefined: nobody has looked since the last load. */
export async function readSourceColumns(state: Queryable, pipeline: string, epoch: number): Promise<SourceColumns | undefined> {
  const { rows } = await state.query<{ columns: SourceColumns }>('select columns from sluice.source_columns where pipeline = $1 and epoch = $2', [pipeline, epoch]);
  return rows[0]?.columns;
}

/** As they were when nobody had looked since the load: whoever has since, knows better. */
export async function keepSourceColumns(state: Queryable, pipeline: string, epoch: number, columns: SourceColumns): Promise<void> {
  await state.query(
    `insert into sluice.source_columns (pipeline, epoch, columns) values ($1, $2, $3)
     on conflict (pipeline) do update set epoch = excluded.epoch, columns = excluded.columns where source_columns.epoch < excluded.epoch`,
    [pipeline, epoch, JSON.stringify(columns)],
  );
}

/** From this change on they are as it found them, unless a later one has been kept since. */
async function keepColumnsOf(state: Queryable, pipeline: string, number: number): Promise<void> {
  await state.query(
    `insert into sluice.source_columns (pipeline, epoch, columns) select pipeline, epoch, columns from sluice.schema_change where pipeline = $1 and number = $2
     and not exists (select from sluice.schema_change where pipeline = $1 and number > $2 and state in ('done', 'unneeded'))
     on conflict (pipeline) do update set epoch = excluded.epoch, columns = excluded.columns where source_columns.epoch <= excluded.epoch`,
    [pipeline, number],
  );
}

/** `shape`: by how many migrations whoever found it has the columns. */
export type FoundChange = { readonly shape: number; readonly epoch: number; readonly position: Position | null; readonly columns: SourceColumns; readonly changes: readonly TableChanges[] };

/** The number of a change that was found and is not over: nothing may be read before it is. */
export async function readOpenChange(state: Queryable, pipeline: string, epoch: number): Promise<number | undefined> {
  const { rows } = await state.query<{ number: number }>(`select number from sluice.schema_change where pipeline = $1 and epoch = $2 and state in (${open}) order by number limit 1`, [pipeline, epoch]);
  return rows[0]?.number;
}

const decided = "'waiting', 'draining', 'changing'";
const open = `'planned', ${decided}`;

/**
 * Puts a change on record and returns its number. One that is on record at this position, and not over, or over without
 * having been done, is that one: a capture that meets it again has met nothing new. What somebody is asked about, or has
 * decided, stays as he has read it. Nor has one met anything that stood still until a migration was done: it is told of that.
 */
export function recordChange(state: State, pipeline: string, { shape, epoch, position, columns, changes }: FoundChange): Promise<number> {
  return inTransaction(state, async (client) => {
    await client.query("select pg_advisory_xact_lock(hashtextextended('sluice.schema_change/' || $1, 0))", [pipeline]);
    const newest = (await readShapes(client, pipeline)).at(-1)?.number ?? 0;
    if (newest > shape) return newest;
    if (position !== null) {
      await assertNotBefore(client, pipeline, epoch, position);
      const { rows } = await client.query<{ number: number }>("select number from sluice.schema_change where pipeline = $1 and epoch = $2 and position = $3 and state not in ('done', 'unneeded') order by number desc limit 1", [pipeline, epoch, position]);
      if (rows[0]) {
        await client.query(`update sluice.schema_change set columns = $3, changes = $4, state = 'planned', ended_at = null where pipeline = $1 and number = $2 and state not in (${decided})`, [pipeline, rows[0].number, JSON.stringify(columns), JSON.stringify(changes)]);
        return rows[0].number;
      }
    }
    const { rows } = await client.query<{ number: number }>(
      `insert into sluice.schema_change (pipeline, number, epoch, position, columns, changes, state, ended_at)
       select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, case when $6 = 'unneeded' then now() end from sluice.schema_change where pipeline = $1
       returning number`,
      [pipeline, epoch, position, JSON.stringify(columns), JSON.stringify(changes), position === null ? 'unneeded' : 'planned'],
    );
    if (position === null) await keepColumnsOf(client, pipeline, rows[0]!.number);
    return rows[0]!.number;
  });
}

/** The first that is done, and counts from a place above this one. */
export async function readLaterChange(state: Queryable, pipeline: string, epoch: number, position: Position): Promise<{ readonly number: number; readonly position: Position } | undefined> {
  const { rows } = await state.query<{ number: number; position: Position }>("select number, position from sluice.schema_change where pipeline = $1 and epoch = $2 and state = 'done' and position > $3 order by number limit 1", [pipeline, epoch, position]);
  return rows[0];
}

/** A destination was set back, and with it the stream: what follows has the columns of then, which nobody knows how to read any more. */
export async function assertNotBefore(state: Queryable, pipeline: string, epoch: number, position: Position): Promise<void> {
  const later = await readLaterChange(state, pipeline, epoch, position);
  if (later) throw new ConfigurationError(`The stream of pipeline ${pipeline} would go on at ${position}, which is before migration ${later.number} of its source's columns at ${later.position}: was a destination restored to an earlier time? Restore it to a later one and type ./sluice resume ${pipeline}, or start over. ${loadAnew(pipeline)}`);
}

/** Of loads before this one, which has read the source as it is now. Returns their numbers. */
export async function cancelChanges(state: Queryable, pipeline: string, epoch: number): Promise<readonly number[]> {
  const { rows } = await state.query<{ number: number }>(`update sluice.schema_change set state = 'cancelled', ended_at = now() where pipeline = $1 and epoch < $2 and state in (${open}) returning number`, [pipeline, epoch]);
  return rows.map(({ number }) => number);
}

export async function readChange(state: Queryable, pipeline: string, number: number): Promise<SchemaChange | undefined> {
  const { rows } = await state.query<SchemaChange>('select pipeline, number, epoch::int, position, changes, state from sluice.schema_change where pipeline = $1 and number = $2', [pipeline, number]);
  return rows[0];
}

export type Told = { readonly state: MigrationState; readonly decision?: Decision | undefined; readonly error?: string | undefined };

/** What the migration says of itself, for lists. One that is over stays so until a capture meets it again, whoever stood still until then. */
export async function tellChange(state: State, pipeline: string, number: number, { state: now, decision, error }: Told): Promise<void> {
  await inTransaction(state, async (client) => {
    const { rowCount } = await client.query(
      `update sluice.schema_change set state = $3, decision = coalesce($4, decision), error = $5, ended_at = case when $6 then now() end
        where pipeline = $1 and number = $2 and (state in (${open}) or state = $3)`,
      [pipeline, number, now, decision ?? null, error ?? null, isOver(now)],
    );
    // or the next capture would find the same again
    if (now === 'unneeded' && rowCount === 1) await keepColumnsOf(client, pipeline, number);
  });
}

/** From its commit on, the pipeline is of this shape, and `now`. Done again, it changes nothing. */
export function settleChange(state: State, pipeline: string, number: number, shape: Shape, now: LoadedDefinition): Promise<void> {
  return inTransaction(state, async (client) => {
    const { rowCount } = await client.query("update sluice.schema_change set state = 'done', shape = $3, error = null, ended_at = now() where pipeline = $1 and number = $2 and state <> 'done' and epoch = (select epoch from sluice.shard where pipeline = $1 and shard = $1)", [pipeline, number, JSON.stringify(shape)]);
    if (rowCount === 0) {
      if ((await readChange(client, pipeline, number))?.state === 'done') return;
      throw new ConfigurationError(`Migration ${number} of pipeline ${pipeline} counts no more: the pipeline was loaded anew meanwhile, and reads its source as it is now.`);
    }
    await client.query('update sluice.shard set definition_hash = $2, definition = $3 where pipeline = $1', [pipeline, now.hash, now.json]);
    await keepColumnsOf(client, pipeline, number);
  });
}
