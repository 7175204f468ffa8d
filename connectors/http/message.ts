import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { origin, positionAt } from '../../core/position.ts';
import type { Batch, Segment } from '../../core/segment.ts';
import type { Run } from './event-order.ts';
import { EventOrder } from './event-order.ts';
import { deleteWriter, rowWriter, truncateWriter } from './event-writer.ts';
import type { JsonBuffer } from './json-buffer.ts';
import type { Write } from './json-column.ts';

/**
 * Events as a JSON list in stream order, of
 * `{"position":"<32 hex digits>","op":"insert"|"update"|"delete"|"truncate","key":…,"row":{…}|null}`:
 * a receiver folds them by key to the greatest position; a truncate (key null) removes all keys below it. `row` is the
 * enriched row, `key` the value of the event table's key.
 *
 * What was prepared for a batch is kept as long as the batch: a segment goes out in many messages.
 */
export class MessageWriter {
  readonly #pipeline: Pipeline;
  readonly #order = new EventOrder();
  readonly #writers = new WeakMap<Batch, Write>();

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  /** The events in (from, to]. Returns how many there are. */
  events(out: JsonBuffer, segments: readonly Segment[], from: Position, to: Position): number {
    let count = 0;
    let at = 0;
    for (const segment of segments) {
      for (const run of this.#order.runs(segment, from, to)) {
        at = writeRows(out, at, this.#writerOf(run), run.row, run.end);
        count += run.end - run.row;
      }
    }
    close(out, at);
    return count;
  }

  /** Rows [start, end) of a snapshot, which all have one position: a piece of the first load (E28). */
  snapshot(out: JsonBuffer, batch: Batch, start: number, end: number): Uint8Array {
    close(out, writeRows(out, 0, this.#batchWriter(batch), start, end));
    return out.view();
  }

  /** An event that comes after newer ones, and says so: `"replay":true` behind its operation. */
  replay(out: JsonBuffer, event: Segment): Uint8Array {
    let at = 0;
    for (const run of this.#order.runs(event, origin, event.header.to)) {
      if (run.of !== 'truncates') at = writeRows(out, at, this.#writerFor(run.of, '"replay":true,'), run.row, run.end);
    }
    close(out, at);
    return out.view();
  }

  /** A truncate alone. */
  truncate(position: Position): Uint8Array {
    return Buffer.from(`[{"position":"${position}","op":"truncate","key":null,"row":null}]`, 'latin1');
  }

  /**
   * The ends of the pieces of at most `maxRows` events that (from, to] is sent in; the last is `to`. They depend on the
   * positions of the events alone, not on how segments are cut.
   */
  pieces(segments: readonly Segment[], from: Position, to: Position, maxRows: number): Position[] {
    const ends: Position[] = [];
    let rows = 0;
    for (const segment of segments) {
      for (const { row, end, positions } of this.#order.runs(segment, from, to)) {
        for (let next = row + maxRows - rows; next <= end; next += maxRows) ends.push(positionAt(positions, next - 1));
        rows = (rows + end - row) % maxRows;
      }
    }
    if (ends.at(-1) !== to) ends.push(to);
    return ends;
  }

  #writerOf({ of, positions }: Run): Write {
    return of === 'truncates' ? truncateWriter(positions) : this.#batchWriter(of);
  }

  #batchWriter(batch: Batch): Write {
    let writer = this.#writers.get(batch);
    if (!writer) this.#writers.set(batch, (writer = this.#writerFor(batch)));
    return writer;
  }

  #writerFor(batch: Batch, mark?: string): Write {
    const { key } = this.#pipeline.source.events;
    return batch.image === 'after' ? rowWriter(batch, key, Object.keys(this.#pipeline.row), mark) : deleteWriter(batch, key, mark);
  }
}

function writeRows(out: JsonBuffer, start: number, write: Write, first: number, end: number): number {
  let at = start;
  for (let row = first; row < end; row++) at = write(out, at, row);
  return at;
}

/** The first event's comma becomes the bracket. */
function close(out: JsonBuffer, end: number): void {
  const last = Math.max(end, 1);
  out.reserve(end, 2);
  out.buffer[0] = openBracket;
  out.buffer[last] = closeBracket;
  out.length = last + 1;
}

const openBracket = 0x5b;
const closeBracket = 0x5d;
