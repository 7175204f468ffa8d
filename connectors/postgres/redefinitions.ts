import type { Position } from '../../core/position.ts';
import type { RedefinePlan, RedefineState } from '../../core/redefine.ts';
import { ConfigurationError } from '../sink.ts';
import type { Queryable, State } from './state/state.ts';
import { inTransaction } from './state/state.ts';

/** A change of a pipeline's definition in place, as the state database has it. */
export type Redefinition = { readonly number: number; readonly epoch: number; readonly beforeHash: string; readonly afterHash: string; readonly plan: RedefinePlan; readonly keepResults: boolean; readonly state: RedefineState; readonly error: string | null };

type Row = { readonly number: number; readonly epoch: string; readonly before_hash: string; readonly after_hash: string; readonly plan: RedefinePlan; readonly keep_results: boolean; readonly state: RedefineState; readonly error: string | null };

const columns = 'number, epoch, before_hash, after_hash, plan, keep_results, state, error';

function redefinitionOf({ number, epoch, before_hash, after_hash, plan, keep_results, state, error }: Row): Redefinition {
  return { number, epoch: Number(epoch), beforeHash: before_hash, afterHash: after_hash, plan, keepResults: keep_results, state, error };
}

/** Throws ConfigurationError if there is none. `lock`: it stays so until the transaction ends. */
export async function readRedefinition(state: Queryable, pipeline: string, number: number, lock: 'for update' | '' = ''): Promise<Redefinition> {
  const { rows } = await state.query<Row>(`select ${columns} from sluice.redefinition where pipeline = $1 and number = $2 ${lock}`, [pipeline, number]);
  if (!rows[0]) throw new ConfigurationError(`Pipeline ${pipeline} has no redefinition ${number}: was it destroyed? See ./sluice status.`);
  return redefinitionOf(rows[0]);
}

/** The one that the pipeline has taken over, and that is not complete. */
export async function readFilling(state: Queryable, pipeline: string): Promise<Redefinition | undefined> {
  const { rows } = await state.query<Row>(`select ${columns} from sluice.redefinition where pipeline = $1 and state = 'filling' order by number limit 1`, [pipeline]);
  return rows[0] && redefinitionOf(rows[0]);
}

/** Puts on record what is to be done, and returns its number; the same again if just that is asked for again: somebody may be about to do it. What else was planned and not begun is no more. */
export function beginRedefinition(state: State, pipeline: string, { epoch, beforeHash, afterHash, plan, keepResults }: Omit<Redefinition, 'number' | 'state' | 'error'>): Promise<number> {
  return inTransaction(state, async (client) => {
    await client.query("select pg_advisory_xact_lock(hashtextextended('sluice.redefinition/' || $1, 0))", [pipeline]);
    const { rows: [same] } = await client.query<{ number: number }>(
      "update sluice.redefinition set error = null where pipeline = $1 and epoch = $2 and before_hash = $3 and after_hash = $4 and plan = $5 and keep_results = $6 and state = 'planned' returning number",
      [pipeline, epoch, beforeHash, afterHash, JSON.stringify(plan), keepResults],
    );
    if (same) return same.number;
    await client.query("update sluice.redefinition set state = 'cancelled', ended_at = now() where pipeline = $1 and state = 'planned'", [pipeline]);
    const { rows } = await client.query<{ number: number }>(
      `insert into sluice.redefinition (pipeline, number, epoch, before_hash, after_hash, plan, keep_results, state)
       select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, 'planned' from sluice.redefinition where pipeline = $1 returning number`,
      [pipeline, epoch, beforeHash, afterHash, JSON.stringify(plan), keepResults],
    );
    return rows[0]!.number;
  });
}

/** One that has been taken over is not planned or cancelled any more, whoever says so late. */
export async function tellRedefinition(state: Queryable, pipeline: string, number: number, now: RedefineState, error: string | null): Promise<void> {
  await state.query(
    `update sluice.redefinition set state = $3, error = $4, ended_at = case when $3 in ('done', 'cancelled') then now() end
      where pipeline = $1 and number = $2 and (state = $3 or (state = 'planned' and $3 = 'cancelled') or (state = 'filling' and $3 = 'done'))`,
    [pipeline, number, now, error],
  );
}

/** A load reads everything by the definition of now. */
export async function endRedefinitions(client: Queryable, pipeline: string): Promise<void> {
  await client.query("update sluice.redefinition set state = 'cancelled', error = 'the pipeline was loaded anew', ended_at = now() where pipeline = $1 and state in ('planned', 'filling')", [pipeline]);
  for (const table of ['joining_lane', 'detached_lane']) await client.query(`delete from sluice.${table} where pipeline = $1`, [pipeline]);
}

/** Lanes that do not run yet, each with what must be kept for it; null: nothing. */
export async function readJoining(state: Queryable, pipeline: string): Promise<ReadonlyMap<string, Position | null>> {
  const { rows } = await state.query<{ lane: string; floor: Position | null }>('select lane, floor from sluice.joining_lane where pipeline = $1', [pipeline]);
  return new Map(rows.map(({ lane, floor }) => [lane, floor]));
}

/** They have all that is below that place. */
export async function keepFrom(state: Queryable, pipeline: string, lanes: readonly string[], place: Position): Promise<void> {
  await state.query('update sluice.joining_lane set floor = greatest(floor, $3) where pipeline = $1 and lane = any($2)', [pipeline, lanes, place]);
}

/** They run from now on. */
export async function joinLanes(client: Queryable, pipeline: string, lanes: readonly string[]): Promise<void> {
  await client.query('delete from sluice.joining_lane where pipeline = $1 and lane = any($2)', [pipeline, lanes]);
}

/** What is not complete of a pipeline: nothing of it can be compared. */
export async function readIncomplete(state: Queryable, pipeline: string): Promise<{ readonly lanes: readonly string[]; readonly views: readonly string[] }> {
  const filling = await readFilling(state, pipeline);
  if (!filling) return { lanes: [], views: [] };
  const { loads, lives, fills, again } = filling.plan;
  return { lanes: [...loads, ...lives], views: [...fills, ...again] };
}
