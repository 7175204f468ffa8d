import type { Snapshot } from '../../activities/backfill-loop.ts';
import type { AllRows } from '../../activities/rewrite-rows.ts';
import { TableRewritten } from '../../connectors/postgres/snapshot-reader.ts';
import { eventsTable, SegmentAssembler } from '../../core/capture/assembler.ts';
import { DimensionStore } from '../../core/capture/dimension-store.ts';
import { beforeColumns } from '../../core/define/before-columns.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { position } from '../../core/position.ts';
import type { TextRow } from '../../core/segment-builder.ts';
import { encodeSegment, openSegment } from '../../core/segment-file.ts';
import type { Segment } from '../../core/segment.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import type { SimulatedProcess } from './scheduler.ts';
import type { SourceServer } from './source-server.ts';

/** Of the simulated source, read a range at a time through the real assembler. */
export async function takeSnapshot(pipeline: Pipeline, source: SourceServer, process: SimulatedProcess): Promise<Snapshot & AllRows> {
  const { at, tables, isRewritten, lost } = await process.io(() => source.snapshot());
  const assembler = new SegmentAssembler({
    pipeline,
    shard: pipeline.name,
    captureId: 'backfill',
    epoch: 1,
    from: position(1, at, 0),
    seq: 0,
    beforeColumns: beforeColumns(pipeline),
    dimensions: new Map(Object.entries(pipeline.source.dimensions).map(([name, table]) => [name, new DimensionStore(table)])),
    snapshot: true,
  });
  const segmentOf = (table: string, rows: Iterable<TextRow>): Segment | undefined => {
    const writers = assembler.tables.get(table)!;
    assembler.begin(Number(at >> 32n), Number(at & 0xffffffffn), Number(source.nowUs));
    for (const row of rows) {
      for (const [name, column] of writers.after.columns) {
        if (row[name] == null) column.setNull(writers.after.rows);
        else column.text(row[name], writers.after.rows);
      }
      assembler.inserted(writers);
    }
    assembler.commit(at);
    if (!assembler.ready) return undefined;
    const segment = openSegment(encodeSegment(assembler.cut()), { verify: false });
    assembler.release();
    return segment;
  };
  segmentOf('posts', tables.posts);
  let read = 0;
  return {
    base: position(1, at, 0),
    lengthMs: 1_500,
    isEven: true,
    get rows() {
      return read;
    },
    lost,
    async *read({ fromMs, toMs }: PaneRange) {
      const rows = await process.io(() => {
        if (isRewritten()) throw new TableRewritten('public.events');
        return [...tables.rows].filter((row) => Date.parse(row['at']!) >= fromMs && Date.parse(row['at']!) < toMs);
      });
      read += rows.length;
      const segment = segmentOf(eventsTable, rows);
      if (segment) yield segment;
    },
    async *all() {
      for (let from = 0; ; from += 5) {
        const rows = await process.io(() => {
          if (isRewritten()) throw new TableRewritten('public.events');
          return [...tables.rows].slice(from, from + 5);
        });
        if (rows.length === 0) return;
        read += rows.length;
        const segment = segmentOf(eventsTable, rows);
        if (segment) yield segment;
      }
    },
    close: async () => {},
  };
}
