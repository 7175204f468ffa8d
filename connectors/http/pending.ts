import type { QueryResult, QueryResultRow } from 'pg';
import type { Position } from '../../core/position.ts';
import { toPosition } from '../../core/position.ts';
import { classified } from '../postgres/errors.ts';
import { openState, type State } from '../postgres/state/state.ts';

export type Range = { readonly from: Position; readonly to: Position };

/** The lane's fence, and the range behind it that is being sent and has perhaps arrived: HTTP has no store of its own (E12). */
export interface PendingRange {
  readFence(): Promise<Position | undefined>;
  read(): Promise<Range | undefined>;
  /** Before sending; `messageId` is the first message's. False: the fence is not `from`. */
  record(range: Range, messageId: string): Promise<boolean>;
  /**
   * After a message was accepted: the fence moves behind it, and what is being sent is from there to `next.to`, in one
   * step. False: the fence was not `from`.
   */
  complete(range: Range, next?: { readonly to: Position; readonly messageId: string }): Promise<boolean>;
  /**
   * At the end of a load: the fence is `position`, and what was being sent before is no more. Again it changes nothing.
   * False: the fence is beyond it, so a later load has ended.
   */
  begin(position: Position): Promise<boolean>;
  close(): Promise<void>;
}

/** In the state database. */
export class PendingInState implements PendingRange {
  readonly #pool: State;
  readonly #lane: readonly [pipeline: string, lane: string];

  constructor(stateUrl: string, pipeline: string, lane: string) {
    this.#pool = openState(stateUrl, { max: 2 });
    this.#lane = [pipeline, lane];
  }

  async readFence(): Promise<Position | undefined> {
    const { rows } = await this.#query<{ position: string }>('select position from sluice.fence where pipeline = $1 and lane = $2', [...this.#lane]);
    return rows[0] && toPosition(rows[0].position);
  }

  async read(): Promise<Range | undefined> {
    const { rows } = await this.#query<{ from_position: string; to_position: string }>('select from_position, to_position from sluice.http_pending where pipeline = $1 and lane = $2', [...this.#lane]);
    return rows[0] && { from: toPosition(rows[0].from_position), to: toPosition(rows[0].to_position) };
  }

  async record({ from, to }: Range, messageId: string): Promise<boolean> {
    const { rowCount } = await this.#query(
      `insert into sluice.http_pending (pipeline, lane, from_position, to_position, message_id)
       select pipeline, lane, position, $4, $5 from sluice.fence where pipeline = $1 and lane = $2 and position = $3
       on conflict (pipeline, lane) do update
         set from_position = excluded.from_position, to_position = excluded.to_position, message_id = excluded.message_id`,
      [...this.#lane, from, to, messageId],
    );
    return rowCount === 1;
  }

  async complete({ from, to }: Range, next?: { readonly to: Position; readonly messageId: string }): Promise<boolean> {
    const { rowCount } = await this.#query(
      next
        ? `with moved as (update sluice.fence set position = $4, moved_at = now() where pipeline = $1 and lane = $2 and position = $3 returning pipeline, lane)
           insert into sluice.http_pending (pipeline, lane, from_position, to_position, message_id) select pipeline, lane, $4, $5, $6 from moved
           on conflict (pipeline, lane) do update
             set from_position = excluded.from_position, to_position = excluded.to_position, message_id = excluded.message_id`
        : `with sent as (delete from sluice.http_pending where pipeline = $1 and lane = $2 and from_position = $3)
           update sluice.fence set position = $4, moved_at = now() where pipeline = $1 and lane = $2 and position = $3`,
      [...this.#lane, from, to, ...(next ? [next.to, next.messageId] : [])],
    );
    return rowCount === 1;
  }

  async begin(position: Position): Promise<boolean> {
    const { rowCount } = await this.#query(
      `with moved as (
         insert into sluice.fence (pipeline, lane, position) values ($1, $2, $3)
         on conflict (pipeline, lane) do update set position = excluded.position, moved_at = now() where fence.position < excluded.position
         returning pipeline, lane
       ), sent as (delete from sluice.http_pending where (pipeline, lane) in (select pipeline, lane from moved))
       select from moved`,
      [...this.#lane, position],
    );
    // what is being sent from there on belongs to the lane, which has begun since
    return rowCount === 1 || (await this.readFence()) === position;
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  #query<R extends QueryResultRow>(sql: string, values: readonly unknown[]): Promise<QueryResult<R>> {
    return classified('state database', () => this.#pool.query<R>(sql, [...values]));
  }
}
