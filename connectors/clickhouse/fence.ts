import type { ClickHouseClient } from '@clickhouse/client';
import type { Position } from '../../core/position.ts';
import { toPosition } from '../../core/position.ts';
import type { Clause } from './table.ts';
import { durable } from './table.ts';

/**
 * Fences are rows, written after the rows they speak of were acknowledged: a fence may lag its effects, never lead. The
 * greatest position of a lane wins, so a fence does not go back, whoever writes late. `target` is the identity of the
 * table that was written: a table that was dropped and made again has no fence.
 */
export class ClickHouseFence {
  readonly #client: ClickHouseClient;
  readonly #key: { readonly pipeline: string; readonly lane: string };

  constructor(client: ClickHouseClient, key: { readonly pipeline: string; readonly lane: string }) {
    this.#client = client;
    this.#key = key;
  }

  async create(): Promise<void> {
    await this.#client.command({
      query: `CREATE TABLE IF NOT EXISTS sluice_fence
        (pipeline String, lane String, target String, position UInt128, moved_at DateTime64(3, 'UTC') DEFAULT now64(3))
        ENGINE = ReplacingMergeTree(position) ORDER BY (pipeline, lane, target)
        TTL toDateTime(moved_at) + INTERVAL 30 DAY DELETE WHERE position(lane, '${ofBackfill}') > 0 ${durable}`,
    });
  }

  async read(target: string): Promise<Position | undefined> {
    const result = await this.#client.query({
      query: `SELECT lower(hex(max(position))) AS position FROM sluice_fence
        WHERE pipeline = {pipeline:String} AND lane = {lane:String} AND target = {target:String} HAVING count() > 0`,
      query_params: { ...this.#key, target },
      format: 'JSONEachRow',
    });
    const [row] = await result.json<{ position: string }>();
    return row && toPosition(row.position.padStart(32, '0'));
  }

  /** As a condition of another statement: so far and no further. */
  isAt(target: string, position: Position): { readonly condition: string; readonly parameters: Readonly<Record<string, string>> } {
    return {
      condition: `(SELECT max(position) FROM sluice_fence WHERE pipeline = {pipeline:String} AND lane = {lane:String} AND target = {target:String}) = {mark:UInt128}`,
      parameters: { ...this.#key, target, mark: decimal(position) },
    };
  }

  async write(target: string, position: Position): Promise<void> {
    await this.#write(target, position);
  }

  /**
   * If it is at `from`, and `table` has a row: one request instead of the three that would ask for both first, and as
   * little atomic as they are. Returns whether it was written, undefined if that was not said.
   */
  async move(target: string, { table, from, to }: { readonly table: Clause; readonly from: Position; readonly to: Position }): Promise<boolean | undefined> {
    const { condition, parameters } = this.isAt(target, from);
    const written = await this.#write(target, to, { text: `${table.text} AND ${condition}`, parameters: { ...table.parameters, ...parameters } });
    return written === undefined ? undefined : written > 0;
  }

  /** Returns how many rows were written, undefined if something between takes away what the server says. */
  async #write(target: string, position: Position, where?: Clause): Promise<number | undefined> {
    const { summary } = await this.#client.command({
      query: `INSERT INTO sluice_fence (pipeline, lane, target, position)
        SELECT {pipeline:String}, {lane:String}, {target:String}, {position:UInt128} ${where?.text ?? ''}`,
      query_params: { ...this.#key, target, position: decimal(position), ...where?.parameters },
    });
    // a server may leave out what is 0 (25.3)
    return summary && Number(summary.written_rows ?? 0);
  }
}

function decimal(position: Position): string {
  return BigInt(`0x${position}`).toString();
}

/** In the lane's name of a backfill's mark, which is not needed for long. No lane has it in its own. */
export const ofBackfill = ' backfill: ';
