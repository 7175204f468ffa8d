import { eventsTable } from '../core/capture/assembler.ts';
import type { Position } from '../core/position.ts';
import { rowsUpTo } from '../core/position.ts';
import type { Batch, Segment, Truncate } from '../core/segment.ts';
import { Operation, batchOf } from '../core/segment.ts';

/** The rows of a batch whose positions are in (from, to], as [start, end): segments may be cut differently (E5). */
export function rowsWithin(batch: Pick<Batch, 'positions' | 'rows'>, from: Position, to: Position): [start: number, end: number] {
  return [rowsUpTo(batch.positions, batch.rows, from), rowsUpTo(batch.positions, batch.rows, to)];
}

/** Truncates of the event table in (from, to], in order. */
export function truncatesWithin(segments: readonly Segment[], from: Position, to: Position): readonly Truncate[] {
  return segments.flatMap(({ truncates }) => truncates.filter(({ table, position }) => table === eventsTable && position > from && position <= to));
}

/** The number of changes of the event table in (from, to]. */
export function eventsWithin(segments: readonly Segment[], from: Position, to: Position): number {
  let events = truncatesWithin(segments, from, to).length;
  for (const segment of segments) {
    const after = batchOf(segment, eventsTable, 'after');
    const before = batchOf(segment, eventsTable, 'before');
    if (after) {
      const [start, end] = rowsWithin(after, from, to);
      events += end - start;
    }
    if (before) {
      const [start, end] = rowsWithin(before, from, to);
      for (let row = start; row < end; row++) if (before.operations[row] === Operation.delete) events++;
    }
  }
  return events;
}
