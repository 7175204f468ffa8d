import { eventsTable } from './capture/assembler.ts';
import { positionAt, rowsUpTo, type Position } from './position.ts';
import { Operation, batchOf, type Segment } from './segment.ts';

/** Where the row events of the event table in (from, to] are, in stream order: each once, whatever images it has. */
export function eventPositions(segments: readonly Segment[], from: Position, to: Position): readonly Position[] {
  const positions: Position[] = [];
  for (const segment of segments) {
    for (const image of ['after', 'before'] as const) {
      const batch = batchOf(segment, eventsTable, image);
      if (!batch) continue;
      const end = rowsUpTo(batch.positions, batch.rows, to);
      for (let row = rowsUpTo(batch.positions, batch.rows, from); row < end; row++) {
        // an update has its position in both
        if (image === 'after' || batch.operations[row] === Operation.delete) positions.push(positionAt(batch.positions, row));
      }
    }
  }
  return positions.sort();
}
