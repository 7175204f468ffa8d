import type { Batch } from '../../core/segment.ts';
import { Operation } from '../../core/segment.ts';
import { copyWords, literal, wholeWords, writeLiteral } from './literal.ts';
import { writeHex } from './digits.ts';
import { JsonBuffer } from './json-buffer.ts';
import type { Write } from './json-column.ts';
import { jsonColumn } from './json-column.ts';

/*
 * An event begins with the comma that parts it from the one before; the message puts its bracket over the first.
 * These writers make the room they need.
 */

/** Inserts and updates. `mark`: further members, between the operation and the key. */
export function rowWriter(batch: Batch, key: string, names: readonly string[], mark = ''): Write {
  const { positions, operations } = batch;
  const head = headWriter(positions);
  const keys = { insert: jsonColumn(batch.columns.get(key)!, operationLabel('insert', mark)), update: jsonColumn(batch.columns.get(key)!, operationLabel('update', mark)) };
  const present = names.filter((name) => batch.columns.has(name));
  const columns = present.map((name, index) => jsonColumn(batch.columns.get(name)!, `${index === 0 ? ',"row":{' : ','}${JSON.stringify(name)}:`));
  const sizes = [...columns, keys.update].flatMap(({ more }) => more ?? []);
  const most = [...columns, keys.update].reduce((sum, column) => sum + column.most, headMost + closing.data.byteLength);
  const [insertKey, updateKey, writes] = [keys.insert.write, keys.update.write, columns.map(({ write }) => write)];
  // by index: an iterator would be made for each row
  return (out, at, row) => {
    let room = most;
    for (let index = 0; index < sizes.length; index++) room += sizes[index]!(row);
    out.reserve(at, room);
    let end = (operations[row] === Operation.insert ? insertKey : updateKey)(out, head(out, at, row), row);
    for (let index = 0; index < writes.length; index++) end = writes[index]!(out, end, row);
    return writeLiteral(out.data, end, closing);
  };
}

export function deleteWriter({ positions, columns }: Batch, key: string, mark = ''): Write {
  const head = headWriter(positions);
  const { write, most, more } = jsonColumn(columns.get(key)!, operationLabel('delete', mark));
  return (out, at, row) => {
    out.reserve(at, headMost + most + (more?.(row) ?? 0) + noRow.data.byteLength);
    return writeLiteral(out.data, write(out, head(out, at, row), row), noRow);
  };
}

export function truncateWriter(positions: Uint32Array): Write {
  const head = headWriter(positions);
  const rest = literal(`${operationLabel('truncate')}null,"row":null}`);
  return (out, at, row) => {
    out.reserve(at, headMost + rest.data.byteLength);
    return writeLiteral(out.data, head(out, at, row), rest);
  };
}

/** The beginning and the position. Its first 24 digits are those of a transaction, and kept from row to row. */
function headWriter(positions: Uint32Array): Write {
  const kept = new JsonBuffer(wholeWords(start.length + 24));
  const { data } = kept;
  const digits = writeLiteral(data, 0, start);
  let epoch = -1;
  let high = -1;
  let low = -1;
  return (out, at, row) => {
    const word = row * 4;
    if (positions[word + 1] !== low || positions[word + 2] !== high || positions[word + 3] !== epoch) {
      low = positions[word + 1]!;
      high = positions[word + 2]!;
      epoch = positions[word + 3]!;
      writeHex(data, writeHex(data, writeHex(data, digits, epoch), high), low);
    }
    return writeHex(out.data, copyWords(out.data, at, data, 0, digits + 24), positions[word]!);
  };
}

function operationLabel(operation: 'insert' | 'update' | 'delete' | 'truncate', mark = ''): string {
  return `","op":"${operation}",${mark}"key":`;
}

const start = literal(',{"position":"');
const headMost = wholeWords(start.length + 24) + 8;
const closing = literal('}}');
const noRow = literal(',"row":null}');
