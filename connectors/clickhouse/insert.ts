import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { ClickHouseClient, ClickHouseSettings } from '@clickhouse/client';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { Chunks } from './chunks.ts';
import type { NativeColumn } from './native.ts';
import { writeBlock } from './native.ts';
import type { Piece } from './pieces.ts';
import type { SinkTable } from './table.ts';
import { quoted, tableName } from './table.ts';

/**
 * How long an answer may take: of what is asked all the time, so that a lane says what holds it up. After an INSERT that was not
 * answered, or whose fence is not, the table and its fence are asked for, and all together must be less than a step's time to
 * end (a minute).
 */
export const promptMs = 19_000;
/** Of what reads a whole table. */
export const thoroughMs = 600_000;

/** What lanes ask is so small that it takes longer to be handed to threads than to be done. */
export const ofLanes: ClickHouseSettings = { max_threads: 1 };

export function connect(url: string, requestMs: number, settings: ClickHouseSettings = {}): ClickHouseClient {
  return createClient({
    url,
    application: 'sluice',
    request_timeout: requestMs,
    max_open_connections: 4,
    // Errors are thrown, and logged where they are handled.
    log: { level: ClickHouseLogLevel.OFF },
    // An insert is answered when its rows are in the table, not in a buffer (E10).
    // Nor does it replace rows within a block first: FINAL and merges do that anyway.
    clickhouse_settings: { async_insert: 0, optimize_on_insert: 0, ...settings },
  });
}

/** One INSERT of all the pieces, a block each; the server joins blocks to one part a partition. */
export async function insertPieces(client: ClickHouseClient, table: SinkTable, pieces: readonly Piece[]): Promise<void> {
  const names = new Set(pieces.flatMap(({ columns }) => [...columns.keys()]));
  const out = new Chunks();
  writePieces(out, table, pieces);
  const list = [...names, '_position', '_deleted'].map(quoted).join(', ');
  await insertNative(client, `INSERT INTO ${tableName(table)} (${list}) FORMAT Native`, out.end());
}

export function writePieces(out: Chunks, table: SinkTable, pieces: readonly Piece[]): void {
  for (const piece of pieces) writeBlock(out, columnsOf(piece, table), piece.start, piece.end);
}

/** Columns that a block leaves out, as tombstones do, take their default. */
function columnsOf({ columns, positions, deleted }: Piece, table: SinkTable): NativeColumn[] {
  return [
    ...[...columns].map(([name, vector]) => ({ name, vector, nullable: table.columns[name]!.nullable })),
    { name: '_position', vector: { layout: 'positions', words: positions }, nullable: false },
    { name: '_deleted', vector: { layout: 'constant', value: deleted }, nullable: false },
  ];
}

export async function insertNative(client: ClickHouseClient, query: string, chunks: readonly Uint8Array[]): Promise<void> {
  const { stream } = await client.exec({ query, values: Readable.from(chunks, { objectMode: false }) });
  stream.resume();
  await finished(stream);
}
