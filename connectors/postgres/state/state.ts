import { Pool } from 'pg';
import type { PoolClient, QueryConfig } from 'pg';
import type { Position } from '../../../core/position.ts';
import type { OutboxMessage, ResultBody } from '../../relay.ts';
import { FenceMoved } from '../../sink.ts';
import { isUnanswered } from '../errors.ts';
import { keptAlive } from '../keep-alive.ts';

/** The state database: what Sluice keeps of its own (000001.sql says what). */
export type State = Pool;

/** Anything that runs a query: the pool, or the connection of a transaction. */
export type Queryable = Pick<PoolClient, 'query'>;

export function openState(url: string, options: { max?: number; answerMs?: number } = {}): State {
  const pool = new Pool({
    connectionString: url,
    max: options.max ?? 8,
    application_name: 'sluice state',
    ...keptAlive,
    connectionTimeoutMillis: 10_000,
    // longer than between two canaries of a quiet stream, or each brings new connections, with passwords to check
    idleTimeoutMillis: 60_000,
    // what is under way when a path goes dead is never answered, and keep-alive is silent while the kernel sends it again
    query_timeout: options.answerMs ?? 120_000,
    // a worker that was stopped inside a transaction must not hold a fence's lock for ever
    idle_in_transaction_session_timeout: 15_000,
  });
  // an idle connection that ends is replaced at its next use; without a listener it would end the process
  pool.on('error', () => {});
  // nor does the pool listen to one that is lent out: between two statements of a transaction nobody else would
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** A statement whose time is that of all there is. */
export function unhurried<Q extends QueryConfig>(query: Q): Q {
  return patient(3_600_000, query);
}

/** A statement with another time for its answer than the pool's. */
export function patient<Q extends QueryConfig>(query_timeout: number, query: Q): Q {
  return { ...query, query_timeout };
}

/** Runs `work` in one transaction; an error rolls it back. */
export async function inTransaction<T>(state: State, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await state.connect();
  let broken: unknown;
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    if (isUnanswered(error)) broken = error;
    else await client.query('rollback').catch((rollback: unknown) => (broken = rollback));
    throw error;
  } finally {
    client.release(broken !== undefined);
  }
}

export async function readFence(state: Queryable, pipeline: string, lane: string): Promise<Position | undefined> {
  const { rows } = await state.query<{ position: Position }>('select position from sluice.fence where pipeline = $1 and lane = $2', [pipeline, lane]);
  return rows[0]?.position;
}

/** Takes the fence for the transaction's length, and makes sure that it is where the lane believes it to be. */
export async function lockFence(client: Queryable, pipeline: string, lane: string, expected: Position): Promise<void> {
  const { rows } = await client.query<{ position: Position }>('select position from sluice.fence where pipeline = $1 and lane = $2 for update', [pipeline, lane]);
  if (rows[0]?.position !== expected) throw new FenceMoved(`lane ${lane} of ${pipeline}`, expected, rows[0]?.position);
}

export async function setFence(client: Queryable, pipeline: string, lane: string, position: Position): Promise<void> {
  await client.query(
    `insert into sluice.fence (pipeline, lane, position) values ($1, $2, $3)
     on conflict (pipeline, lane) do update set position = excluded.position, moved_at = now()`,
    [pipeline, lane, position],
  );
}

/** Messages after `after`, in order. Those that every relay has may be gone (but never a view's newest window, nor its last truncate). */
export async function readOutbox(state: Queryable, pipeline: string, after: number, limit: number): Promise<readonly OutboxMessage[]> {
  const { rows } = await state.query<{ seq: string; view: string; message: ResultBody }>(
    'select seq, view, message from sluice.outbox where pipeline = $1 and seq > $2 order by seq limit $3',
    [pipeline, after, limit],
  );
  return rows.map(({ seq, view, message }) => ({ seq: Number(seq), view, body: message }));
}

/** The channel on which the aggregate lane says that a pipeline's outbox has grown; the payload is the pipeline. */
export const outboxChannel = 'sluice_outbox';

export type AggregateRow = { readonly clockUs: number | undefined; readonly horizonMs: number; readonly outboxSeq: number };

export async function readAggregate(state: Queryable, pipeline: string): Promise<AggregateRow | undefined> {
  const { rows } = await state.query<{ clock_us: string | null; horizon_ms: string; outbox_seq: string }>(
    'select clock_us, horizon_ms, outbox_seq from sluice.aggregate where pipeline = $1',
    [pipeline],
  );
  const row = rows[0];
  return row && { clockUs: row.clock_us === null ? undefined : Number(row.clock_us), horizonMs: Number(row.horizon_ms), outboxSeq: Number(row.outbox_seq) };
}
