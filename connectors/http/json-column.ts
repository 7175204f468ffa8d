import type { BytesVector, Int64Vector, NumberVector, Vector, Words4Vector } from '../../core/columns/vector.ts';
import { State, int64At, valueStart } from '../../core/columns/vector.ts';
import { postgresText } from '../../core/columns/postgres-text.ts';
import { unreachable } from '../../core/unreachable.ts';
import type { JsonBuffer } from './json-buffer.ts';

/** Writes the JSON value of a row; a column's layout is looked at once, not once a row. */
export type JsonColumn = (out: JsonBuffer, row: number) => void;

/**
 * How values look: integers and finite floats as numbers, but integers beyond 2^53 as strings, so that no parser rounds
 * them; NaN and the infinities as strings, as Postgres writes them, and numeric always as a string. Times as
 * `2026-11-21T10:00:00.000001Z` (timestamp without the Z), infinities and years before 1 or after 9999 as Postgres'
 * text; dates likewise. json and jsonb as they are, bytea as base64. NULL and 'unchanged' are null.
 */
export function jsonColumn(vector: Vector): JsonColumn {
  const value = jsonValue(vector);
  const { states } = vector;
  if (states === undefined) return value;
  return (out, row) => (states[row] === State.value ? value(out, row) : out.ascii('null'));
}

function jsonValue(vector: Vector): JsonColumn {
  switch (vector.layout) {
    case 'number':
      return numberValue(vector);
    case 'int64':
      return vector.type === 'int8' ? integerValue(vector) : timeValue(vector);
    case 'words4':
      return uuidValue(vector);
    case 'bytes':
      return bytesValue(vector);
    case 'interned': {
      const { ids, dictionary } = vector;
      const rendered = renderedOnce(jsonValue({ ...dictionary, type: vector.type } as typeof dictionary), dictionary.length);
      return (out, row) => rendered(out, ids[row]!);
    }
    default:
      return unreachable(vector);
  }
}

/** The JSON of each value of a dictionary is made when it is first needed. */
function renderedOnce(value: JsonColumn, size: number): JsonColumn {
  const texts = Array.from<Buffer | undefined>({ length: size });
  return (out, id) => {
    const text = texts[id];
    if (text !== undefined) return out.bytes(text, 0, text.length);
    const start = out.length;
    value(out, id);
    texts[id] = Buffer.from(out.buffer.subarray(start, out.length));
  };
}

function numberValue(vector: NumberVector): JsonColumn {
  const { type, values } = vector;
  switch (type) {
    case 'bool':
      return (out, row) => out.ascii(values[row] === 1 ? 'true' : 'false');
    case 'date':
      return (out, row) => out.ascii(`"${postgresText(withoutStates(vector), row)!}"`);
    case 'float4':
      return (out, row) => (Number.isFinite(values[row]!) ? out.ascii(postgresText(withoutStates(vector), row)!) : out.ascii(`"${values[row]!}"`));
    default:
      return (out, row) => {
        const value = values[row]!;
        if (Number.isFinite(value)) out.float(value);
        else out.ascii(`"${value}"`);
      };
  }
}

function integerValue({ words }: Int64Vector): JsonColumn {
  return (out, row) => {
    const high = words[row * 2 + 1]!;
    if (high >= -2_097_152 && high < 2_097_152) out.integer(high * 4294967296 + (words[row * 2]! >>> 0));
    else out.ascii(`"${int64At(words, row)}"`);
  };
}

const dayUs = 86_400_000_000;
const year1 = -62_135_596_800_000_000;
const year10000 = 253_402_300_800_000_000;

/** The day's text is kept from row to row: times that follow each other are mostly of one day. */
function timeValue(vector: Int64Vector): JsonColumn {
  const { words, type } = vector;
  const zone = type === 'timestamptz' ? 'Z"' : '"';
  let day = Number.NaN;
  let dayText = '';
  return (out, row) => {
    const high = words[row * 2 + 1]!;
    const us = high * 4294967296 + (words[row * 2]! >>> 0);
    // Beyond this a double is not exact; the rare way is right for all.
    if (high >= 2_097_152 || high < -2_097_152 || us < year1 || us >= year10000) return out.ascii(rareTime(vector, row));
    const dayOfRow = Math.floor(us / dayUs);
    if (dayOfRow !== day) {
      day = dayOfRow;
      dayText = `"${new Date(dayOfRow * 86_400_000).toISOString().slice(0, 11)}`;
    }
    out.ascii(dayText);
    out.clock(us - dayOfRow * dayUs);
    out.ascii(zone);
  };
}

function rareTime(vector: Int64Vector, row: number): string {
  const text = postgresText(withoutStates(vector), row)!;
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?(?:\+00)?$/.exec(text);
  if (!match) return `"${text}"`;
  return `"${match[1]}T${match[2]}.${(match[3] ?? '').padEnd(6, '0')}${vector.type === 'timestamptz' ? 'Z' : ''}"`;
}

function uuidValue({ words }: Words4Vector): JsonColumn {
  return (out, row) => out.uuid(words, row * 4);
}

function bytesValue(vector: BytesVector): JsonColumn {
  const { bytes, ends, type } = vector;
  switch (type) {
    case 'json':
    case 'jsonb':
      return (out, row) => out.bytes(bytes, valueStart(vector, row), ends[row]!);
    case 'bytea':
      return (out, row) => out.ascii(`"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64', valueStart(vector, row), ends[row]!)}"`);
    default:
      return (out, row) => out.string(bytes, valueStart(vector, row), ends[row]!);
  }
}

function withoutStates<V extends Vector>(vector: V): V {
  return { ...vector, states: undefined };
}
