import { eventsTable } from '../capture/assembler.ts';
import { postgresText } from '../columns/postgres-text.ts';
import { State } from '../columns/vector.ts';
import { parsePosition, positionAt, rowsUpTo, type Position } from '../position.ts';
import { Operation, batchOf, type Batch, type Segment } from '../segment.ts';
import type { TextRow } from '../segment-builder.ts';
import type { LetterOp, RefusedEvent } from './dead-letter.ts';

/** The event of the event table at a position. Throws a RangeError if there is none. */
export function refusedEvent(segments: readonly Segment[], position: Position, key: string): RefusedEvent {
  for (const segment of segments) {
    const [after, before] = [imageAt(segment, 'after', position), imageAt(segment, 'before', position)];
    const image = after ?? before;
    if (!image) continue;
    const content = { ...(after && { after: textsOf(after) }), ...(before && { before: textsOf(before) }) };
    return { position, op: operations[image.batch.operations[image.row]!]!, key: postgresText(image.batch.columns.get(key)!, image.row), commitUs: commitUs(segment, position), content };
  }
  throw new RangeError(`there is no event at ${position}`);
}

type Image = { readonly batch: Batch; readonly row: number };

const operations: Readonly<Record<number, LetterOp>> = { [Operation.insert]: 'insert', [Operation.update]: 'update', [Operation.delete]: 'delete' };

function imageAt(segment: Segment, image: Batch['image'], position: Position): Image | undefined {
  const batch = batchOf(segment, eventsTable, image);
  const row = batch ? rowsUpTo(batch.positions, batch.rows, position) - 1 : -1;
  return batch && row >= 0 && positionAt(batch.positions, row) === position ? { batch, row } : undefined;
}

function textsOf({ batch, row }: Image): TextRow {
  const sent = [...batch.columns].filter(([, vector]) => vector.states?.[row] !== State.unchanged);
  return Object.fromEntries(sent.map(([name, vector]) => [name, postgresText(vector, row)]));
}

function commitUs({ transactions }: Segment, position: Position): number {
  const { lsn } = parsePosition(position);
  const [high, low] = [Number(lsn >> 32n), Number(lsn & 0xffffffffn)];
  for (let at = 0; at < transactions.count; at++) {
    if (transactions.lsns[at * 2 + 1] === high && transactions.lsns[at * 2] === low) return transactions.commitTimes[at]!;
  }
  throw new RangeError(`the segment has no transaction of ${position}`);
}
