import { pickRows, pickWords } from '../../core/columns/pick-rows.ts';
import type { Piece } from './pieces.ts';
import { daysOf } from './pieces.ts';

/** ClickHouse refuses an insert that touches more than 100 partitions (max_partitions_per_insert_block). */
const maxDays = 90;
const maxRows = 500_000;

/**
 * Groups pieces into few inserts, none over 90 days. A piece that alone has more is sorted by day and cut: a first load
 * reads years at once (E10).
 */
export function planInserts(pieces: readonly Piece[], partitionBy: string): Piece[][] {
  const inserts: Piece[][] = [];
  let days = new Set<number>();
  let rows = 0;
  const put = (piece: Piece, daysOfPiece: ReadonlySet<number>) => {
    const union = new Set([...days, ...daysOfPiece]);
    if (inserts.length === 0 || union.size > maxDays || rows + piece.end - piece.start > maxRows) {
      inserts.push([]);
      days = new Set(daysOfPiece);
      rows = 0;
    } else days = union;
    inserts.at(-1)!.push(piece);
    rows += piece.end - piece.start;
  };
  for (const piece of pieces) {
    const dayOfRow = daysOf(piece, partitionBy);
    const distinct = distinctDays(dayOfRow);
    if (distinct.size <= maxDays) put(piece, distinct);
    else for (const part of cutByDay(piece, dayOfRow, [...distinct].sort((a, b) => a - b))) put(part.piece, part.days);
  }
  return inserts;
}

function distinctDays(dayOfRow: Int32Array): Set<number> {
  const distinct = new Set<number>();
  let last = Number.NaN;
  for (let row = 0; row < dayOfRow.length; row++) {
    const day = dayOfRow[row]!;
    if (day === last) continue;
    distinct.add(day);
    last = day;
  }
  return distinct;
}

function cutByDay(piece: Piece, dayOfRow: Int32Array, days: readonly number[]): { piece: Piece; days: Set<number> }[] {
  const partOfDay = new Map(days.map((day, index) => [day, Math.floor(index / maxDays)]));
  const rowsOfPart: number[][] = Array.from({ length: Math.ceil(days.length / maxDays) }, () => []);
  dayOfRow.forEach((day, index) => rowsOfPart[partOfDay.get(day)!]!.push(piece.start + index));
  return rowsOfPart.map((list, part) => {
    const rows = Uint32Array.from(list);
    const columns = new Map([...piece.columns].map(([name, vector]) => [name, pickRows(vector, rows)]));
    const cut: Piece = { columns, positions: pickWords(piece.positions, rows, 4), deleted: piece.deleted, start: 0, end: rows.length };
    return { piece: cut, days: new Set(days.slice(part * maxDays, (part + 1) * maxDays)) };
  });
}
