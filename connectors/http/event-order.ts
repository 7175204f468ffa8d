import { eventsTable } from '../../core/capture/assembler.ts';
import type { Position } from '../../core/position.ts';
import { comparePositions, positionWords } from '../../core/position.ts';
import type { Batch, Segment } from '../../core/segment.ts';
import { Operation, batchOf } from '../../core/segment.ts';
import { rowsWithin, truncatesWithin } from '../events-within.ts';
import { pickRows, pickWords } from '../../core/columns/pick-rows.ts';

/** Rows [row, end) of a batch whose rows are all events, or of the segment's truncates, in order of their positions. */
export type Run = { readonly row: number; readonly end: number; readonly positions: Uint32Array; readonly of: Batch | 'truncates' };

type Source = { row: number } & Omit<Run, 'row'>;

/** The events of segments in stream order, which is worked out once for each segment. */
export class EventOrder {
  readonly #deletes = new WeakMap<Batch, Batch>();

  /** Those in (from, to], in runs as long as possible while there is but one source of them. */
  *runs(segment: Segment, from: Position, to: Position): Generator<Run> {
    const open = this.#sources(segment, from, to);
    while (open.length > 1) {
      const least = open.reduce((best, source) => (comparePositions(source.positions, source.row, best.positions, best.row) < 0 ? source : best));
      yield { ...least, end: least.row + 1 };
      if (++least.row === least.end) open.splice(open.indexOf(least), 1);
    }
    yield* open;
  }

  #sources(segment: Segment, from: Position, to: Position): Source[] {
    const sources: Source[] = [];
    for (const image of ['after', 'before'] as const) {
      const whole = batchOf(segment, eventsTable, image);
      const batch = whole && image === 'before' ? this.#deletesOf(whole) : whole;
      if (!batch) continue;
      const [row, end] = rowsWithin(batch, from, to);
      if (row < end) sources.push({ row, end, positions: batch.positions, of: batch });
    }
    const truncates = truncatesWithin([segment], from, to);
    if (truncates.length > 0) {
      const positions = Uint32Array.from(truncates.flatMap(({ position }) => positionWords(position)));
      sources.push({ row: 0, end: truncates.length, positions, of: 'truncates' });
    }
    return sources;
  }

  /** Of the before-images only those of deletes are events; the others belong to updates. */
  #deletesOf(batch: Batch): Batch {
    const { operations } = batch;
    const known = this.#deletes.get(batch);
    if (known) return known;
    const rows = Uint32Array.from([...operations.keys()].filter((row) => operations[row] === Operation.delete));
    const columns = new Map([...batch.columns].map(([name, vector]) => [name, pickRows(vector, rows)]));
    const deletes = rows.length === batch.rows ? batch : { ...batch, rows: rows.length, positions: pickWords(batch.positions, rows, 4), operations: pickWords(operations, rows, 1), columns };
    this.#deletes.set(batch, deletes);
    return deletes;
  }
}
