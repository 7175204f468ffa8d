import type { ClickHouseClient, ClickHouseSettings } from '@clickhouse/client';
import type { LoadMark } from '../../core/backfill.ts';
import type { Position } from '../../core/position.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { ClickHouseFence, ofBackfill } from './fence.ts';
import { connect, insertPieces, ofLanes, promptMs, thoroughMs } from './insert.ts';
import type { Piece } from './pieces.ts';
import type { SinkTable } from './table.ts';
import { createTable, isTable, quoted, tableIdentity, tableName } from './table.ts';
import type { VersionedRows } from './versioned-rows.ts';

/** A ReplacingMergeTree, and the table `sluice_fence`. */
export class ClickHouseRows implements VersionedRows {
  readonly #client: ClickHouseClient;
  /** For what reads the whole table. */
  readonly #thorough: ClickHouseClient;
  readonly #table: SinkTable;
  readonly #lane: { readonly pipeline: string; readonly lane: string };
  readonly #fence: ClickHouseFence;

  constructor(url: string, table: SinkTable, lane: { readonly pipeline: string; readonly lane: string }) {
    this.#client = connect(url, promptMs, ofLanes);
    this.#thorough = connect(url, thoroughMs);
    this.#table = table;
    this.#fence = new ClickHouseFence(this.#client, lane);
    this.#lane = lane;
  }

  async create(): Promise<void> {
    await createTable(this.#client, this.#table);
    await this.#fence.create();
  }

  target(): Promise<string> {
    return tableIdentity(this.#client, this.#table);
  }

  insert(pieces: readonly Piece[]): Promise<void> {
    return insertPieces(this.#client, this.#table, pieces);
  }

  bury(at: Position): Promise<void> {
    return this.#bury(at, '', {});
  }

  writeMark(target: string, { backfill, at }: LoadMark): Promise<void> {
    return this.#marks(backfill).write(target, at);
  }

  readMark(target: string, backfill: string): Promise<Position | undefined> {
    return this.#marks(backfill).read(target);
  }

  async buryWithin(target: string, { time, range: { fromMs, toMs }, mark }: { readonly time: string; readonly range: PaneRange; readonly mark: LoadMark }, at: Position): Promise<Position | undefined> {
    const marks = this.#marks(mark.backfill);
    const marked = marks.isAt(target, mark.at);
    const within = `AND ${quoted(time)} >= fromUnixTimestamp64Milli({from:Int64}) AND ${quoted(time)} < fromUnixTimestamp64Milli({to:Int64})`;
    // one thread: whoever else is served by that machine has the others meanwhile
    await this.#bury(at, `${within} AND ${marked.condition}`, { from: fromMs, to: toMs, ...marked.parameters }, { max_threads: 1 });
    // it goes only with what it speaks of: if it is there now, it was there then
    return marks.read(target);
  }

  /** Kept as fences are. */
  #marks(backfill: string): ClickHouseFence {
    return new ClickHouseFence(this.#client, { ...this.#lane, lane: `${this.#lane.lane}${ofBackfill}${backfill}` });
  }

  async #bury(at: Position, condition: string, parameters: Readonly<Record<string, number | string>>, settings: ClickHouseSettings = {}): Promise<void> {
    const key = this.#table.orderBy.map(quoted).join(', ');
    await this.#thorough.command({
      query: `INSERT INTO ${tableName(this.#table)} (${key}, _position, _deleted)
        SELECT ${key}, {position:UInt128}, 1 FROM ${tableName(this.#table)} FINAL WHERE _position < {position:UInt128} ${condition}`,
      query_params: { position: BigInt(`0x${at}`).toString(), ...parameters },
      clickhouse_settings: { max_partitions_per_insert_block: '0', optimize_move_to_prewhere_if_final: 0, ...settings },
    });
  }

  readFence(target: string): Promise<Position | undefined> {
    return this.#fence.read(target);
  }

  writeFence(target: string, position: Position): Promise<void> {
    return this.#fence.write(target, position);
  }

  moveFence(target: string, from: Position, to: Position): Promise<boolean | undefined> {
    return this.#fence.move(target, { table: isTable(this.#table, target), from, to });
  }

  async close(): Promise<void> {
    await Promise.all([this.#client.close(), this.#thorough.close()]);
  }
}
