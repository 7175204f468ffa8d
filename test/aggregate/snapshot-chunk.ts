import type { Rebuilt } from '../../connectors/aggregate/rebuild.ts';
import { SegmentAssembler } from '../../core/capture/assembler.ts';
import { DimensionStore } from '../../core/capture/dimension-store.ts';
import { beforeColumns } from '../../core/define/before-columns.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { position, type Position } from '../../core/position.ts';
import type { PlainTransaction, TextRow } from '../../core/segment-builder.ts';
import { encodeSegment, openSegment } from '../../core/segment-file.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import { SnapshotFold } from '../../core/views/snapshot-fold.ts';
import { rowsLeftBy } from './random-stream.ts';
import { start } from './world.ts';

/** Behind a transaction of these tests, and before the next one: what a snapshot that is taken there stands at. */
const behind = (number: number): Position => position(1, BigInt(number * 10 + 5), 0);

/** A chunk of a snapshot behind the first `count` transactions. */
export function rebuilt(pipeline: Pipeline, stream: readonly PlainTransaction[], count: number, range: PaneRange): Rebuilt {
  const dimensions = new Map(Object.entries(pipeline.source.dimensions).map(([name, table]) => [name, new DimensionStore(table)]));
  const assembler = new SegmentAssembler({ pipeline, shard: 'agg', captureId: 'backfill', epoch: 1, from: position(1, 0n, 0), seq: 1, beforeColumns: beforeColumns(pipeline), dimensions, snapshot: true });
  assembler.begin(0, count * 10 + 5, (start + 100_000) * 1000);
  const { after } = assembler.tables.get('events')!;
  const isIn = ({ at }: TextRow) => at != null && Date.parse(at) >= range.fromMs && Date.parse(at) < range.toMs;
  for (const row of rowsLeftBy(stream.slice(0, count)).filter(isIn)) {
    for (const [name, column] of after.columns) {
      if (row[name] == null) column.setNull(after.rows);
      else column.text(row[name], after.rows);
    }
    assembler.inserted(assembler.tables.get('events')!);
  }
  assembler.commit(1n);
  const fold = new SnapshotFold(pipeline, paneSetsOf(pipeline));
  if (assembler.ready) fold.add(openSegment(encodeSegment(assembler.cut()), { verify: true }));
  return { range, base: behind(count), panes: fold.take() };
}
