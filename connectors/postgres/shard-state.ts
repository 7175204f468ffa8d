import type { LastingDefinition, LoadedDefinition } from '../../core/define/definition-hash.ts';
import type { Lsn, Position } from '../../core/position.ts';
import { lsnText, parseLsn, parsePosition } from '../../core/position.ts';
import { voidLetters } from './dead-letters.ts';
import { endRedefinitions } from './redefinitions.ts';
import { beginAgain } from './state/destroyed.ts';
import type { Queryable, State } from './state/state.ts';
import { inTransaction } from './state/state.ts';

/** How a pipeline's stream began (E1, E28). A pipeline has one shard, named as the pipeline. */
export type ShardState = {
  readonly epoch: number;
  /** The last change of its definition that it has taken over; 0: none since its load. */
  readonly redefinition: number;
  readonly slot: string;
  readonly systemIdentifier: string;
  readonly state: 'loading' | 'streaming';
  readonly loadedAt: Position | undefined;
  readonly confirmed: Confirmed | undefined;
  readonly tables: TableIds | undefined;
};

/** What the source may forget: up to this LSN, which is behind all events up to this position. `timeline`: of the source then. */
export type Confirmed = { readonly lsn: Lsn; readonly to: Position; readonly timeline: number | undefined };

/** OIDs of the pipeline's tables by their names. */
export type TableIds = Readonly<Record<string, number>>;

export async function readShard(state: Queryable, pipeline: string): Promise<ShardState | undefined> {
  const { rows } = await state.query<{ epoch: string; redefinition: number; slot: string; system_identifier: string; state: ShardState['state']; loaded_at: Position | null; confirmed_lsn: string | null; confirmed_to: Position | null; timeline: number | null; tables: TableIds | null }>(
    'select epoch, redefinition, slot, system_identifier, state, loaded_at, confirmed_lsn::text, confirmed_to, timeline, tables from sluice.shard where pipeline = $1 and shard = $1',
    [pipeline],
  );
  const row = rows[0];
  if (!row) return undefined;
  return {
    epoch: Number(row.epoch),
    redefinition: row.redefinition,
    slot: row.slot,
    systemIdentifier: row.system_identifier,
    state: row.state,
    loadedAt: row.loaded_at ?? undefined,
    confirmed: row.confirmed_lsn !== null && row.confirmed_to !== null ? { lsn: parseLsn(row.confirmed_lsn), to: row.confirmed_to, timeline: row.timeline ?? undefined } : undefined,
    tables: row.tables ?? undefined,
  };
}

/**
 * Takes the next epoch for a load, above `usedEpoch`, the greatest that any sink or spool has, and above all of what was
 * destroyed: what was before counts no more (E1, E28). Dead letters end here and not with the load: a replay beside it would
 * add to panes that have their rows. Throws ConfigurationError while the pipeline is being destroyed.
 */
export function beginLoad(state: State, pipeline: string, slot: string, definition: LoadedDefinition, usedEpoch: number): Promise<number> {
  return inTransaction(state, async (client) => {
    const { above } = await beginAgain(client, pipeline);
    const epoch = await takeEpoch(client, pipeline, slot, definition, Math.max(usedEpoch, above));
    await voidLetters(client, pipeline);
    await endRedefinitions(client, pipeline);
    // its views may be others than those of before
    await client.query('update sluice.aggregate set views = null where pipeline = $1', [pipeline]);
    return epoch;
  });
}

async function takeEpoch(client: Queryable, pipeline: string, slot: string, { hash, json }: LoadedDefinition, usedEpoch: number): Promise<number> {
  const { rows } = await client.query<{ epoch: string }>(
    `insert into sluice.shard (pipeline, shard, epoch, slot, system_identifier, state, definition_hash, definition) values ($1, $1, $4::bigint + 1, $2, '', 'loading', $3, $5)
     on conflict (pipeline, shard) do update set epoch = greatest(shard.epoch, $4) + 1, slot = excluded.slot, state = 'loading', loaded_at = null, confirmed_lsn = null, confirmed_to = null, timeline = null, tables = null,
       definition_hash = excluded.definition_hash, definition = excluded.definition, redefinition = 0, changed_at = now()
     returning epoch`,
    [pipeline, slot, hash, usedEpoch, json],
  );
  return Number(rows[0]!.epoch);
}

/** The stream of this epoch is given up, and with it what was made of its panes: the pipeline is to be loaded anew. One that has begun already stays. */
export async function markForLoad(state: Queryable, pipeline: string, epoch: number): Promise<void> {
  await state.query("with given_up as (update sluice.shard set state = 'loading' where pipeline = $1 and shard = $1 and epoch = $2 returning pipeline) update sluice.aggregate set views = null from given_up where aggregate.pipeline = given_up.pipeline", [pipeline, epoch]);
}

/** Of what pipelines were loaded, by name; undefined: an earlier release did not put it on record. */
export async function readLoaded(state: Queryable): Promise<ReadonlyMap<string, LoadedRecord>> {
  const { rows } = await state.query<{ pipeline: string; state: ShardState['state']; system_identifier: string; definition_hash: string; definition: LastingDefinition | null; redefinition: number }>('select pipeline, state, system_identifier, definition_hash, definition, redefinition from sluice.shard');
  return new Map(rows.map(({ pipeline, state: is, system_identifier, definition_hash, definition, redefinition }) => [pipeline, { isStreaming: is === 'streaming', systemIdentifier: system_identifier, hash: definition_hash, definition: definition ?? undefined, redefinition }]));
}

export type LoadedRecord = { readonly isStreaming: boolean; readonly systemIdentifier: string; readonly hash: string; readonly definition: LastingDefinition | undefined; /** The number of the last that it has taken over; 0: none. */ readonly redefinition: number };

/** Throws LoadSuperseded when a later load has begun. */
export async function assertLoading(state: Queryable, pipeline: string, epoch: number): Promise<void> {
  const shard = await readShard(state, pipeline);
  if (shard?.epoch !== epoch || shard.state !== 'loading') throw new LoadSuperseded(pipeline, epoch);
}

/** Throws LoadSuperseded when a later load has begun. */
export async function endLoad(state: Queryable, pipeline: string, epoch: number, { position, systemIdentifier, timeline, tables }: Loaded): Promise<void> {
  const { rowCount } = await state.query(
    `update sluice.shard set state = 'streaming', loaded_at = $3, confirmed_to = $3, confirmed_lsn = $5, tables = $6, system_identifier = $4, timeline = $7, changed_at = now()
      where pipeline = $1 and shard = $1 and epoch = $2 and state = 'loading'`,
    [pipeline, epoch, position, systemIdentifier, lsnText(parsePosition(position).lsn), JSON.stringify(tables), timeline],
  );
  if (rowCount !== 1) throw new LoadSuperseded(pipeline, epoch);
}

/** `timeline`: of the source before its snapshot was taken. */
export type Loaded = { readonly position: Position; readonly systemIdentifier: string; readonly timeline: number; readonly tables: TableIds };

/** To be called before the source is told. Throws LoadSuperseded: then it must not be told. */
export async function recordConfirmed(state: Queryable, pipeline: string, epoch: number, { lsn, to, timeline }: Confirmed): Promise<void> {
  const { rowCount } = await state.query(
    `update sluice.shard set confirmed_lsn = greatest(confirmed_lsn, $3::pg_lsn), confirmed_to = greatest(confirmed_to, $4), timeline = $5
      where pipeline = $1 and shard = $1 and epoch = $2`,
    [pipeline, epoch, lsnText(lsn), to, timeline ?? null],
  );
  if (rowCount !== 1) throw new LoadSuperseded(pipeline, epoch);
}

export class LoadSuperseded extends Error {
  override readonly name = 'LoadSuperseded';
  constructor(pipeline: string, epoch: number) {
    super(`load ${epoch} of ${pipeline} was superseded by a later one`);
  }
}
