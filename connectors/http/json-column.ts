import type { BytesVector, Int64Vector, InternedVector, NumberVector, Vector, Words4Vector } from '../../core/columns/vector.ts';
import { State, int64At, valueStart } from '../../core/columns/vector.ts';
import { bytesOf, copyBytes } from '../../core/columns/copy-bytes.ts';
import { postgresText } from '../../core/columns/postgres-text.ts';
import { unreachable } from '../../core/unreachable.ts';
import { copyWords, literal, wholeWords, writeLiteral } from './literal.ts';
import { floatDigits, integerDigits, writeAscii, writeClock, writeFloat, writeInteger, writeUuid } from './digits.ts';
import { JsonBuffer } from './json-buffer.ts';
import { longestEscape, writeEscaped } from './json-string.ts';

/** Writes something of a row at a place, where there must be room, and returns the place behind it. */
export type Write = (out: JsonBuffer, at: number, row: number) => number;

/** A row takes at most `most` bytes, and those that `more` says of it. */
export type JsonColumn = { readonly write: Write; readonly most: number; readonly more?: (row: number) => number };

/**
 * Writes `label` and the JSON value of a row; a column's layout is looked at once, not once a row.
 *
 * How values look: integers and finite floats as numbers, but integers beyond 2^53 as strings, so that no parser rounds
 * them; NaN and the infinities as strings, as Postgres writes them, and numeric always as a string. Times as
 * `2026-11-21T10:00:00.000001Z` (timestamp without the Z), infinities and years before 1 or after 9999 as Postgres'
 * text; dates likewise. json and jsonb as they are, bytea as base64. NULL and 'unchanged' are null.
 */
export function jsonColumn(vector: Vector, label: string): JsonColumn {
  const column = valueColumn(vector, label);
  const { states } = vector;
  if (states === undefined) return column;
  const { write, most } = column;
  const none = literal(`${label}null`);
  return {
    ...column,
    most: Math.max(most, wholeWords(none.length)),
    write: (out, at, row) => (states[row] === State.value ? write(out, at, row) : writeLiteral(out.data, at, none)),
  };
}

function valueColumn(vector: Vector, label: string): JsonColumn {
  switch (vector.layout) {
    case 'number':
      return numberColumn(vector, label);
    case 'int64':
      return vector.type === 'int8' ? integerColumn(vector, label) : timeColumn(vector, label);
    case 'words4':
      return uuidColumn(vector, label);
    case 'bytes':
      return bytesColumn(vector, label);
    case 'interned':
      return internedColumn(vector, label);
    default:
      return unreachable(vector);
  }
}

/** The label and the JSON of each value of a dictionary are made once. */
function internedColumn({ ids, dictionary, type }: InternedVector, label: string): JsonColumn {
  const { write, most, more } = jsonColumn({ ...dictionary, type } as typeof dictionary, label);
  const texts = new JsonBuffer(wholeWords(most) * dictionary.length);
  const places = new Uint32Array(dictionary.length * 2);
  let at = 0;
  let longest = 0;
  for (let id = 0; id < dictionary.length; id++) {
    texts.reserve(at, wholeWords(most + (more?.(id) ?? 0)));
    const length = write(texts, at, id) - at;
    places[id * 2] = at;
    places[id * 2 + 1] = length;
    longest = Math.max(longest, length);
    at += wholeWords(length);
  }
  const { data } = texts;
  return {
    most: wholeWords(longest),
    write: (out, to, row) => {
      const place = ids[row]! * 2;
      return copyWords(out.data, to, data, places[place]!, places[place + 1]!);
    },
  };
}

function numberColumn(vector: NumberVector, label: string): JsonColumn {
  const { type, values } = vector;
  const head = literal(label);
  const most = wholeWords(head.length) + floatDigits + 2;
  const texts = (textOf: (row: number) => string): JsonColumn => ({ most, write: (out, at, row) => writeAscii(out.data, writeLiteral(out.data, at, head), textOf(row)) });
  const plain = withoutStates(vector);
  switch (type) {
    case 'bool':
      return texts((row) => (values[row] === 1 ? 'true' : 'false'));
    case 'date':
      return texts((row) => `"${postgresText(plain, row)!}"`);
    case 'float4':
      return texts((row) => (Number.isFinite(values[row]!) ? postgresText(plain, row)! : `"${values[row]!}"`));
    case 'float8':
      return {
        most,
        write: (out, at, row) => {
          const value = values[row]!;
          const start = writeLiteral(out.data, at, head);
          return Number.isFinite(value) ? writeFloat(out.data, start, value) : writeAscii(out.data, start, `"${value}"`);
        },
      };
    default:
      return { most, write: (out, at, row) => writeInteger(out.data, writeLiteral(out.data, at, head), values[row]!) };
  }
}

function integerColumn({ words }: Int64Vector, label: string): JsonColumn {
  const head = literal(label);
  return {
    most: wholeWords(head.length) + integerDigits + 6,
    write: (out, at, row) => {
      const high = words[row * 2 + 1]!;
      const start = writeLiteral(out.data, at, head);
      if (high >= -2_097_152 && high < 2_097_152) return writeInteger(out.data, start, high * 4294967296 + (words[row * 2]! >>> 0));
      return writeAscii(out.data, start, `"${int64At(words, row)}"`);
    },
  };
}

const dayUs = 86_400_000_000;
const year1 = -62_135_596_800_000_000;
const year10000 = 253_402_300_800_000_000;
/** Also of years with six digits, before Christ, and in whole words. */
const longestTime = 48;

/** The day's text is kept from row to row: times that follow each other are mostly of one day. */
function timeColumn(vector: Int64Vector, label: string): JsonColumn {
  const { words, type } = vector;
  const plain = withoutStates(vector);
  const zone = literal(type === 'timestamptz' ? 'Z"' : '"');
  const bare = literal(label);
  let midnight = Number.NaN;
  let head = bare;
  return {
    most: wholeWords(bare.length) + longestTime,
    write: (out, at, row) => {
      const high = words[row * 2 + 1]!;
      const us = high * 4294967296 + (words[row * 2]! >>> 0);
      if (!(us >= midnight && us < midnight + dayUs)) {
        // Beyond this a double is not exact; the rare way is right for all.
        if (high >= 2_097_152 || high < -2_097_152 || us < year1 || us >= year10000) return writeAscii(out.data, writeLiteral(out.data, at, bare), rareTime(plain, row));
        midnight = Math.floor(us / dayUs) * dayUs;
        head = literal(`${label}"${new Date(midnight / 1000).toISOString().slice(0, 11)}`);
      }
      return writeLiteral(out.data, writeClock(out.data, writeLiteral(out.data, at, head), us - midnight), zone);
    },
  };
}

function rareTime(vector: Int64Vector, row: number): string {
  const text = postgresText(vector, row)!;
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?(?:\+00)?$/.exec(text);
  if (!match) return `"${text}"`;
  return `"${match[1]}T${match[2]}.${(match[3] ?? '').padEnd(6, '0')}${vector.type === 'timestamptz' ? 'Z' : ''}"`;
}

function uuidColumn({ words }: Words4Vector, label: string): JsonColumn {
  const head = literal(`${label}"`);
  return {
    most: wholeWords(head.length) + 37,
    write: (out, at, row) => {
      const end = writeUuid(out.data, writeLiteral(out.data, at, head), words, row);
      out.data.setUint8(end, quote);
      return end + 1;
    },
  };
}

function bytesColumn(vector: BytesVector, label: string): JsonColumn {
  const { ends, type } = vector;
  const isJson = type === 'json' || type === 'jsonb';
  const source = bytesOf(vector.bytes);
  const head = literal(isJson ? label : `${label}"`);
  const most = wholeWords(head.length) + 1;
  const lengthAt = (row: number) => ends[row]! - (row === 0 ? 0 : ends[row - 1]!);
  if (isJson) return { most, more: lengthAt, write: (out, at, row) => copyBytes(out, writeLiteral(out.data, at, head), source, valueStart(vector, row), ends[row]!) };
  const inside: Write =
    type === 'bytea'
      ? (out, at, row) => at + out.buffer.write(source.buffer.toString('base64', valueStart(vector, row), ends[row]!), at, 'latin1')
      : (out, at, row) => writeEscaped(out, at, source, valueStart(vector, row), ends[row]!);
  return {
    most,
    more: (row) => lengthAt(row) * longestEscape,
    write: (out, at, row) => {
      const end = inside(out, writeLiteral(out.data, at, head), row);
      out.data.setUint8(end, quote);
      return end + 1;
    },
  };
}

function withoutStates<V extends Vector>(vector: V): V {
  return { ...vector, states: undefined };
}

const quote = 0x22;
