import type { Position } from '../../core/position.ts';
import type { Queryable } from './state/state.ts';

/** How a pipeline's stream began (E1, E28). A pipeline has one shard, named as the pipeline. */
export type ShardState = {
  readonly epoch: number;
  readonly slot: string;
  readonly systemIdentifier: string;
  readonly state: 'loading' | 'streaming';
  readonly loadedAt: Position | undefined;
};

export async function readShard(state: Queryable, pipeline: string): Promise<ShardState | undefined> {
  const { rows } = await state.query<{ epoch: string; slot: string; system_identifier: string; state: ShardState['state']; loaded_at: Position | null }>(
    'select epoch, slot, system_identifier, state, loaded_at from sluice.shard where pipeline = $1 and shard = $1',
    [pipeline],
  );
  const row = rows[0];
  return row && { epoch: Number(row.epoch), slot: row.slot, systemIdentifier: row.system_identifier, state: row.state, loadedAt: row.loaded_at ?? undefined };
}

/** Takes the next epoch for a load: whatever an earlier one left counts no more (E28). */
export async function beginLoad(state: Queryable, pipeline: string, slot: string, definitionHash: string): Promise<number> {
  const { rows } = await state.query<{ epoch: string }>(
    `insert into sluice.shard (pipeline, shard, epoch, slot, system_identifier, state, definition_hash) values ($1, $1, 1, $2, '', 'loading', $3)
     on conflict (pipeline, shard) do update set epoch = shard.epoch + 1, slot = excluded.slot, state = 'loading', loaded_at = null,
       definition_hash = excluded.definition_hash, changed_at = now()
     returning epoch`,
    [pipeline, slot, definitionHash],
  );
  return Number(rows[0]!.epoch);
}

/** Throws LoadSuperseded when a later load has begun. */
export async function assertLoading(state: Queryable, pipeline: string, epoch: number): Promise<void> {
  const shard = await readShard(state, pipeline);
  if (shard?.epoch !== epoch || shard.state !== 'loading') throw new LoadSuperseded(pipeline, epoch);
}

export async function endLoad(state: Queryable, pipeline: string, epoch: number, position: Position, systemIdentifier: string): Promise<void> {
  const { rowCount } = await state.query(
    "update sluice.shard set state = 'streaming', loaded_at = $3, system_identifier = $4, changed_at = now() where pipeline = $1 and shard = $1 and epoch = $2 and state = 'loading'",
    [pipeline, epoch, position, systemIdentifier],
  );
  if (rowCount !== 1) throw new LoadSuperseded(pipeline, epoch);
}

export class LoadSuperseded extends Error {
  override readonly name = 'LoadSuperseded';
  constructor(pipeline: string, epoch: number) {
    super(`load ${epoch} of ${pipeline} was superseded by a later one`);
  }
}
