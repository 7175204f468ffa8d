import { replayDimension } from '../../core/capture/dimension-replay.ts';
import { DimensionStore, keyFromText } from '../../core/capture/dimension-store.ts';
import type { DimensionTable, Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { SegmentLog } from '../spool/segment-log.ts';

/** The versions of dimension rows that the aggregate lane keeps, up to its fence. */
export type DimensionVersions = {
  /** Undefined: nothing is loaded yet. */
  readonly fence: () => Promise<Position | undefined>;
  /** A dimension's rows by key as of a position. */
  readonly rowsAt: (dimension: string, at: Position) => Promise<ReadonlyMap<string, DimensionRow>>;
};

/** A dimension's row as Postgres texts, null for NULL. */
export type DimensionRow = Readonly<Record<string, string | null>>;

/**
 * Every dimension as of a place in the stream: the versions that the aggregate lane has kept, and the dimension events
 * between its fence and that place (E16). Never today's table: that would enrich with what has not happened yet.
 */
export async function dimensionsAt(versions: DimensionVersions, log: SegmentLog, pipeline: Pipeline, at: Position): Promise<ReadonlyMap<string, DimensionStore>> {
  const fence = await versions.fence();
  if (fence === undefined) throw new Error(`the aggregate lane of ${pipeline.name} has no fence: its dimensions are not loaded`);
  const kept = fence < at ? fence : at;
  const stores = new Map<string, DimensionStore>();
  for (const [name, table] of Object.entries(pipeline.source.dimensions)) stores.set(name, storeOf(table, await versions.rowsAt(name, kept)));
  for (let after = kept; after < at; ) {
    // everything up to there was spooled: there is nothing to wait for
    const segments = await log.read(after, { maxRows: 100_000 }, AbortSignal.abort());
    if (segments.length === 0) throw new Error(`the spool of ${pipeline.name} ends before ${at}: were its files deleted?`);
    for (const segment of segments) {
      for (const [name, store] of stores) replayDimension(store, name, segment, after, at);
      after = segment.header.to;
    }
  }
  return stores;
}

function storeOf(table: DimensionTable, rows: ReadonlyMap<string, DimensionRow>): DimensionStore {
  const store = new DimensionStore(table);
  const { type } = table.columns[table.key]!;
  for (const [key, row] of rows) store.putValues(keyFromText(type, key), (column) => row[column] ?? null);
  return store;
}
