import { eventsTable } from './capture/assembler.ts';
import { comparePositions, positionAt, rowsUpTo, type Position } from './position.ts';
import { Operation, batchOf, type Batch, type Segment } from './segment.ts';

/** Where the row events of the event table in (from, to] are, in stream order: each once, whatever images it has. */
export function eventPositions(segments: readonly Segment[], from: Position, to: Position): readonly Position[] {
  const positions: Position[] = [];
  for (const segment of segments) {
    for (const image of ['after', 'before'] as const) {
      const batch = batchOf(segment, eventsTable, image);
      if (!batch) continue;
      const end = rowsUpTo(batch.positions, batch.rows, to);
      for (let row = rowsUpTo(batch.positions, batch.rows, from); row < end; row++) {
        if (isEvent(batch, row)) positions.push(positionAt(batch.positions, row));
      }
    }
  }
  return positions.sort();
}

/** Where the `count`-th of them is; undefined: there are fewer. */
export function eventPosition(segments: readonly Segment[], from: Position, to: Position, count: number): Position | undefined {
  let left = count;
  for (const segment of segments) {
    const [after, deleted] = [eventRows(batchOf(segment, eventsTable, 'after'), from, to), eventRows(batchOf(segment, eventsTable, 'before'), from, to)];
    if (left <= after.count + deleted.count) return merged(after, deleted, left);
    left -= after.count + deleted.count;
  }
  return undefined;
}

/** `count` rows that are events: those from `start` on, or, of before-images, the deletes among them. */
type EventRows = { readonly batch: Batch | undefined; readonly start: number; readonly end: number; readonly count: number };

function eventRows(batch: Batch | undefined, from: Position, to: Position): EventRows {
  if (!batch) return { batch, start: 0, end: 0, count: 0 };
  const [start, end] = [rowsUpTo(batch.positions, batch.rows, from), rowsUpTo(batch.positions, batch.rows, to)];
  let count = batch.image === 'after' ? end - start : 0;
  if (batch.image === 'before') for (let row = start; row < end; row++) if (isEvent(batch, row)) count++;
  return { batch, start, end, count };
}

function isEvent({ image, operations }: Batch, row: number): boolean {
  // an update has its position in both
  return image === 'after' || operations[row] === Operation.delete;
}

/** The place of the `count`-th event of both in order. */
function merged(one: EventRows, other: EventRows, count: number): Position {
  let [row, otherRow] = [one.start, other.start];
  for (let left = count; ; ) {
    while (otherRow < other.end && !isEvent(other.batch!, otherRow)) otherRow++;
    const isOther = row === one.end || (otherRow < other.end && comparePositions(other.batch!.positions, otherRow, one.batch!.positions, row) < 0);
    const { batch } = isOther ? other : one;
    const at = isOther ? otherRow++ : row++;
    if (--left === 0) return positionAt(batch!.positions, at);
  }
}
