import { eventsTable } from '../capture/assembler.ts';
import { pickRows, pickWords } from '../columns/pick-rows.ts';
import { positionAt, rowsUpTo, type Position } from '../position.ts';
import type { Batch, Segment } from '../segment.ts';

/**
 * The segments as if the event at `position` had changed nothing, for an apply of (from, to]: a sink that is given them
 * moves its fence past the event by its ordinary way, and clocks, truncates and dimension changes are what they were.
 * Rows of the event table outside (from, to] are left out too; they are not for that apply.
 */
export function passingOver(segments: readonly Segment[], position: Position, from: Position, to: Position): readonly Segment[] {
  return segments.map((segment) => ({ ...segment, batches: segment.batches.map((batch) => (batch.table === eventsTable ? without(batch, position, from, to) : batch)) }));
}

function without(batch: Batch, position: Position, from: Position, to: Position): Batch {
  const kept: number[] = [];
  const end = rowsUpTo(batch.positions, batch.rows, to);
  for (let row = rowsUpTo(batch.positions, batch.rows, from); row < end; row++) if (positionAt(batch.positions, row) !== position) kept.push(row);
  const rows = Uint32Array.from(kept);
  let counted = 0;
  const transactionEnds = batch.transactionEnds.map((transactionEnd) => {
    while (counted < rows.length && rows[counted]! < transactionEnd) counted++;
    return counted;
  });
  return {
    ...batch,
    rows: rows.length,
    positions: pickWords(batch.positions, rows, 4),
    operations: pickWords(batch.operations, rows, 1),
    transactionEnds,
    columns: new Map([...batch.columns].map(([name, vector]) => [name, pickRows(vector, rows)])),
  };
}
