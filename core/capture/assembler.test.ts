import { expect, test } from 'vitest';
import { resolve } from '../define/resolve.ts';
import { position } from '../position.ts';
import trending from '../../pipelines/trending.ts';
import { beforeColumns } from '../define/before-columns.ts';
import { DimensionStore } from './dimension-store.ts';
import { eventsTable, SegmentAssembler, StreamDiverged } from './assembler.ts';

const pipeline = resolve(trending, {});

/** A capture that goes on behind the second event of the transaction at 100, which was at WAL 0/60. */
function behindTheSecond(): SegmentAssembler {
  const dimensions = new Map(Object.entries(pipeline.source.dimensions).map(([name, table]) => [name, new DimensionStore(table)]));
  const assembler = new SegmentAssembler({ pipeline, shard: 'p', captureId: 'c', epoch: 1, from: position(1, 100n, 2), seq: 1, beforeColumns: beforeColumns(pipeline), dimensions, tailEventLsn: '0000000000000060' });
  assembler.begin(0, 100, 1_000);
  return assembler;
}

function event(assembler: SegmentAssembler, lsn: number): void {
  assembler.inserted(assembler.tables.get(eventsTable)!);
  assembler.eventLsn(0, lsn);
}

test('E6: the event that the chain ends with must come again from the same WAL, or the stream is another one', () => {
  const same = behindTheSecond();
  event(same, 0x50);
  event(same, 0x60);
  expect(same.takesNext).toBe(true);

  const other = behindTheSecond();
  event(other, 0x50);
  expect(() => event(other, 0x61)).toThrow(StreamDiverged);
});
