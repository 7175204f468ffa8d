import { eventsTable } from '../../core/capture/assembler.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { positionAt, positionWords } from '../../core/position.ts';
import type { Batch, Segment } from '../../core/segment.ts';
import { Operation, batchOf } from '../../core/segment.ts';
import { rowsWithin, truncatesWithin } from '../events-within.ts';
import { pickRows, pickWords } from '../pick-rows.ts';
import type { JsonBuffer } from './json-buffer.ts';
import type { JsonColumn } from './json-column.ts';
import { jsonColumn } from './json-column.ts';

/**
 * The events in (from, to] as a JSON list in stream order, of
 * `{"position":"<32 hex digits>","op":"insert"|"update"|"delete"|"truncate","key":…,"row":{…}|null}`:
 * a receiver folds them by key to the greatest position; a truncate (key null) removes all keys below it. `row` is the
 * enriched row, `key` the value of the event table's key. Returns how many there are.
 */
export function writeMessage(out: JsonBuffer, pipeline: Pipeline, segments: readonly Segment[], from: Position, to: Position): number {
  const key = pipeline.source.events.key;
  const names = Object.keys(pipeline.row);
  let count = 0;
  out.byte(bracket);
  for (const segment of segments) {
    for (const source of ordered(sourcesOf(segment, from, to, (batch, image) => (image === 'after' ? rowWriter(batch, key, names) : deleteWriter(batch, key))))) {
      if (count++ > 0) out.byte(comma);
      source.write(out, source.row);
    }
  }
  out.ascii(']');
  return count;
}

/** Rows [start, end) of a snapshot, which all have one position: a piece of the first load (E28). */
export function writeSnapshot(out: JsonBuffer, pipeline: Pipeline, batch: Batch, start: number, end: number): void {
  const write = rowWriter(batch, pipeline.source.events.key, Object.keys(pipeline.row));
  out.byte(bracket);
  for (let row = start; row < end; row++) {
    if (row > start) out.byte(comma);
    write(out, row);
  }
  out.ascii(']');
}

/** A truncate alone. */
export function writeTruncate(out: JsonBuffer, position: Position): void {
  out.ascii(`[{"position":"${position}","op":"truncate","key":null,"row":null}]`);
}

/** Where events come from: rows [row, end) of something, in order of their positions. */
type Source = { row: number; readonly end: number; readonly positions: Uint32Array; readonly write: (out: JsonBuffer, row: number) => void };

function sourcesOf(segment: Segment, from: Position, to: Position, writer: (batch: Batch, image: Batch['image']) => Source['write']): Source[] {
  const sources: Source[] = [];
  for (const image of ['after', 'before'] as const) {
    const whole = batchOf(segment, eventsTable, image);
    const batch = whole && image === 'before' ? onlyDeletes(whole) : whole;
    if (!batch) continue;
    const [row, end] = rowsWithin(batch, from, to);
    if (row < end) sources.push({ row, end, positions: batch.positions, write: writer(batch, image) });
  }
  const truncates = truncatesWithin([segment], from, to);
  if (truncates.length > 0) {
    const positions = Uint32Array.from(truncates.flatMap(({ position }) => positionWords(position)));
    sources.push({ row: 0, end: truncates.length, positions, write: truncateWriter(positions) });
  }
  return sources;
}

/** The rows of several sources in order of position: each time, from the one whose next is the least. */
function* ordered(sources: readonly Source[]): Generator<Source> {
  const open = sources.filter(({ row, end }) => row < end);
  while (open.length > 1) {
    const least = open.reduce((best, source) => (isBefore(source, best) ? source : best));
    yield least;
    if (++least.row === least.end) open.splice(open.indexOf(least), 1);
  }
  const [last] = open;
  if (last) for (; last.row < last.end; last.row++) yield last;
}

function isBefore(left: Source, right: Source): boolean {
  for (let word = 3; word >= 0; word--) {
    const difference = left.positions[left.row * 4 + word]! - right.positions[right.row * 4 + word]!;
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function rowWriter(batch: Batch, key: string, names: readonly string[]): Source['write'] {
  const present = names.filter((name) => batch.columns.has(name));
  const columns = present.map((name) => jsonColumn(batch.columns.get(name)!));
  const labels = present.map((name, index) => Buffer.from(`${index === 0 ? '' : ','}${JSON.stringify(name)}:`));
  const keyColumn = jsonColumn(batch.columns.get(key)!);
  const { positions, operations } = batch;
  return (out, row) => {
    writeHead(out, positions, row, operations[row] === Operation.insert ? 'insert' : 'update', keyColumn);
    out.byte(brace);
    for (let index = 0; index < columns.length; index++) {
      const label = labels[index]!;
      out.bytes(label, 0, label.length);
      columns[index]!(out, row);
    }
    out.ascii('}}');
  };
}

/** Of the before-images only those of deletes are events; the others belong to updates. */
function onlyDeletes(batch: Batch): Batch {
  const { operations } = batch;
  if (operations.every((operation) => operation === Operation.delete)) return batch;
  const rows = Uint32Array.from([...operations.keys()].filter((row) => operations[row] === Operation.delete));
  const columns = new Map([...batch.columns].map(([name, vector]) => [name, pickRows(vector, rows)]));
  return { ...batch, rows: rows.length, positions: pickWords(batch.positions, rows, 4), operations: pickWords(operations, rows, 1), columns };
}

function deleteWriter({ positions, columns }: Batch, key: string): Source['write'] {
  const keyColumn = jsonColumn(columns.get(key)!);
  return (out, row) => {
    writeHead(out, positions, row, 'delete', keyColumn);
    out.ascii('null}');
  };
}

function truncateWriter(positions: Uint32Array): Source['write'] {
  return (out, row) => {
    writeHead(out, positions, row, 'truncate', (buffer) => buffer.ascii('null'));
    out.ascii('null}');
  };
}

function writeHead(out: JsonBuffer, positions: Uint32Array, row: number, operation: 'insert' | 'update' | 'delete' | 'truncate', key: JsonColumn): void {
  out.ascii('{"position":"');
  out.position(positions, row * 4);
  out.ascii(operation === 'insert' ? '","op":"insert","key":' : `","op":"${operation}","key":`);
  key(out, row);
  out.ascii(',"row":');
}

/**
 * The ends of the pieces of at most `maxRows` events that (from, to] is sent in; the last is `to`. They depend on the
 * positions of the events alone, not on how segments are cut.
 */
export function piecesOf(segments: readonly Segment[], from: Position, to: Position, maxRows: number): Position[] {
  const ends: Position[] = [];
  let rows = 0;
  for (const segment of segments) {
    const sources = sourcesOf(segment, from, to, () => nothing);
    const [only] = sources;
    if (sources.length === 1 && only) {
      // mostly inserts alone: no need to look at each
      for (let next = only.row + maxRows - rows; next <= only.end; next += maxRows) ends.push(positionAt(only.positions, next - 1));
      rows = (rows + only.end - only.row) % maxRows;
      continue;
    }
    for (const { positions, row } of ordered(sources)) {
      if (++rows < maxRows) continue;
      ends.push(positionAt(positions, row));
      rows = 0;
    }
  }
  if (ends.at(-1) !== to) ends.push(to);
  return ends;
}

function nothing(): void {}

const bracket = 0x5b;
const brace = 0x7b;
const comma = 0x2c;
