import type { Position } from '../position.ts';
import { positionAt } from '../position.ts';
import { batchOf, Operation } from '../segment.ts';
import type { Segment } from '../segment.ts';
import type { DimensionStore } from './dimension-store.ts';
import { keyAt } from './dimension-store.ts';

/** Brings a dimension forward over a segment's events in (after, upTo], in stream order (E16). */
export function replayDimension(store: DimensionStore, name: string, segment: Segment, after: Position, upTo: Position): void {
  const steps: { position: Position; step: () => void }[] = [];
  const rows = batchOf(segment, name, 'after');
  for (let row = 0; row < (rows?.rows ?? 0); row++) steps.push({ position: positionAt(rows!.positions, row), step: () => store.put(rows!.columns, row) });
  const gone = batchOf(segment, name, 'before');
  for (let row = 0; row < (gone?.rows ?? 0); row++) {
    if (gone!.operations[row] !== Operation.delete) continue;
    steps.push({ position: positionAt(gone!.positions, row), step: () => store.remove(keyAt(gone!.columns.get(store.table.key)!, row)) });
  }
  for (const { table, position } of segment.truncates) if (table === name) steps.push({ position, step: () => store.clear() });
  steps.sort((a, b) => (a.position < b.position ? -1 : 1));
  for (const { position, step } of steps) if (position > after && position <= upTo) step();
}
