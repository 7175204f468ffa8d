import { ConfigurationError } from '../../sink.ts';
import type { Queryable, State } from './state.ts';
import { inTransaction, unhurried } from './state.ts';

/**
 * One of a pipeline. `epoch`: the greatest that the pipeline had by then, so what is destroyed after another load has another;
 * missing in what an earlier release began.
 */
export type Destruction = { readonly pipeline: string; readonly epoch?: number };

/** The greatest that it has, or had before it was destroyed; 0: none. */
export async function greatestEpoch(state: Queryable, pipeline: string): Promise<number> {
  const { rows: [row] } = await state.query<{ epoch: string }>(
    'select coalesce(greatest((select max(epoch) from sluice.shard where pipeline = $1), (select epoch from sluice.destroyed where pipeline = $1)), 0) as epoch',
    [pipeline],
  );
  return Number(row!.epoch);
}

/**
 * From when this returns, no load of the pipeline begins, until `markDestroyed`. `before`: when it was last destroyed, as it was
 * planned. Throws ConfigurationError if that or the epoch has changed since: who stood still must not mark what came then.
 */
export function markDestroying(state: State, { pipeline, epoch }: Destruction, before: string | null = null): Promise<void> {
  return inTransaction(state, async (client) => {
    await lockBeginning(client, pipeline);
    if (epoch !== undefined) {
      const endedAt = (await destroyedAt(client, pipeline)) ?? null;
      if ((await greatestEpoch(client, pipeline)) !== epoch || (endedAt !== null && endedAt !== before)) {
        throw new ConfigurationError(`Pipeline ${pipeline} was loaded or destroyed since it was looked at what there is to drop: nothing was dropped. To drop what is there now, type ./sluice destroy ${pipeline}.`);
      }
    }
    await remember(client, pipeline);
  });
}

/** Nothing is left of it but what this says. */
export async function markDestroyed(state: Queryable, { pipeline, epoch }: Destruction): Promise<void> {
  await state.query(`update sluice.destroyed set ended_at = now() ${thatGoesOn}`, [pipeline, epoch]);
}

/** Right before anything is dropped. Throws ConfigurationError if it has ended: who stood still must drop nothing of what was applied since. */
export async function assertDestroying(state: Queryable, { pipeline, epoch }: Destruction, lock: '' | 'for update' = ''): Promise<void> {
  const { rowCount } = await state.query(`select from sluice.destroyed ${thatGoesOn} ${lock}`, [pipeline, epoch]);
  if (rowCount === 1) return;
  throw new ConfigurationError(`This destruction of pipeline ${pipeline} has ended, and the pipeline may have been applied since: it drops nothing more. To drop what is there now, type ./sluice destroy ${pipeline}.`);
}

const thatGoesOn = 'where pipeline = $1 and ended_at is null and epoch = coalesce($2::bigint, epoch)';

async function remember(client: Queryable, pipeline: string): Promise<void> {
  await client.query(
    `insert into sluice.destroyed (pipeline, epoch, outbox_seq)
       select $1::text, coalesce((select max(epoch) from sluice.shard where pipeline = $1), 0), coalesce((select max(outbox_seq) from sluice.aggregate where pipeline = $1), 0)
     on conflict (pipeline) do update set epoch = greatest(destroyed.epoch, excluded.epoch), outbox_seq = greatest(destroyed.outbox_seq, excluded.outbox_seq), ended_at = null`,
    [pipeline],
  );
}

/** ISO time; null: it goes on, or was stopped on its way. Undefined: it was not destroyed, or was applied since. */
export async function destroyedAt(state: Queryable, pipeline: string): Promise<string | null | undefined> {
  const { rows } = await state.query<{ at: Date | null }>('select ended_at as at from sluice.destroyed where pipeline = $1', [pipeline]);
  return rows[0] && (rows[0].at?.toISOString() ?? null);
}

/** Throws ConfigurationError. */
export async function assertNotBeingDestroyed(state: Queryable, pipeline: string): Promise<void> {
  if ((await destroyedAt(state, pipeline)) !== null) return;
  throw new ConfigurationError(`Pipeline ${pipeline} is being destroyed, or that was stopped on its way: nothing of it may begin. ./sluice destroy ${pipeline} goes on with it; then ./sluice apply ${pipeline} makes the pipeline from nothing.`);
}

/**
 * In the transaction that takes the epoch of a load, which is above those of all that was destroyed. Its results are numbered
 * above those that may have been left. Throws ConfigurationError while the pipeline is being destroyed.
 */
export async function beginAgain(client: Queryable, pipeline: string): Promise<{ readonly above: number }> {
  await lockBeginning(client, pipeline);
  await assertNotBeingDestroyed(client, pipeline);
  const { rows: [destroyed] } = await client.query<{ epoch: string }>('select coalesce(max(epoch), 0) as epoch from sluice.destroyed');
  await client.query(
    `with forgotten as (delete from sluice.destroyed where pipeline = $1 returning pipeline, outbox_seq)
     insert into sluice.aggregate (pipeline, outbox_seq) select pipeline, outbox_seq from forgotten where outbox_seq > 0 on conflict do nothing`,
    [pipeline],
  );
  return { above: Number(destroyed!.epoch) };
}

/** Every row of a pipeline, and the tables of its panes. Returns how many rows there were. */
export function dropRows(state: State, destruction: Destruction, paneTables: readonly string[]): Promise<number> {
  const { pipeline } = destruction;
  return inTransaction(state, async (client) => {
    // a worker that stood still may hold this, or a fence
    await client.query("set local lock_timeout = '10s'");
    await assertDestroying(client, destruction, 'for update');
    await remember(client, pipeline);
    // before what those write who look at it first, as a capture that lets a lane go
    await client.query('select from sluice.shard where pipeline = $1 for update', [pipeline]);
    let count = 0;
    for (const table of await tablesWithRows(client)) count += (await client.query(unhurried({ text: `delete from ${table} where pipeline = $1`, values: [pipeline] }))).rowCount ?? 0;
    for (const table of paneTables) await client.query(`drop table if exists ${table}`);
    return count;
  });
}

export async function countRows(state: Queryable, pipeline: string): Promise<number> {
  const counts = (await tablesWithRows(state)).map((table) => `select count(*) as rows from ${table} where pipeline = $1`);
  const { rows: [all] } = await state.query<{ rows: string }>(unhurried({ text: `select sum(rows) as rows from (${counts.join(' union all ')}) each_table`, values: [pipeline] }));
  return Number(all!.rows);
}

/** Of whatever version: each that says of which pipeline its rows are. */
async function tablesWithRows(state: Queryable): Promise<readonly string[]> {
  const { rows } = await state.query<{ name: string }>(
    `select format('sluice.%I', c.relname) as name from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace = 'sluice'::regnamespace and c.relkind = 'r' and a.attname = 'pipeline' and not a.attisdropped and c.relname <> 'destroyed' order by 1`,
  );
  return rows.map(({ name }) => name);
}

/** A load and a destroy begin one after the other. */
async function lockBeginning(client: Queryable, pipeline: string): Promise<void> {
  await client.query("select pg_advisory_xact_lock(hashtextextended('sluice.beginning ' || $1::text, 0))", [pipeline]);
}
