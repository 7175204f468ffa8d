import { createClient } from '@clickhouse/client';
import { expect, test } from 'vitest';
import { Chunks } from '../../connectors/clickhouse/chunks.ts';
import { insertNative } from '../../connectors/clickhouse/insert.ts';
import { writeBlock } from '../../connectors/clickhouse/native.ts';
import { pickRows } from '../../core/columns/pick-rows.ts';
import { storedVector } from '../../connectors/clickhouse/stored-value.ts';
import { columnType } from '../../connectors/clickhouse/table.ts';
import { JsonBuffer } from '../../connectors/http/json-buffer.ts';
import { jsonColumn } from '../../connectors/http/json-column.ts';
import { makeColumn } from '../../core/columns/make-column.ts';
import type { ColumnType, Vector } from '../../core/columns/vector.ts';
import { throwAwayClickhouse } from '../embedded/services.ts';

const uuids = ['00112233-4455-6677-8899-aabbccddeeff', 'ffffffff-0000-4000-8000-0123456789ab'];

/** Postgres' text, what ClickHouse then shows (the same, if not given), and the JSON that HTTP sends. */
const cases: readonly { type: ColumnType; interned?: true; values: readonly (readonly [text: string, clickhouse: string | undefined, json: string])[] }[] = [
  { type: 'bool', values: [['t', 'true', 'true'], ['f', 'false', 'false']] },
  { type: 'int2', values: [['-32768', undefined, '-32768'], ['7', undefined, '7']] },
  { type: 'int4', values: [['-2147483648', undefined, '-2147483648'], ['2147483647', undefined, '2147483647']] },
  { type: 'int8', values: [['9007199254740991', undefined, '9007199254740991'], ['-9007199254740993', undefined, '"-9007199254740993"'], ['9223372036854775807', undefined, '"9223372036854775807"'], ['0', undefined, '0']] },
  { type: 'oid', values: [['4294967295', undefined, '4294967295']] },
  { type: 'float4', values: [['1.1', undefined, '1.1'], ['NaN', 'nan', '"NaN"']] },
  { type: 'float8', values: [['0.1', undefined, '0.1'], ['-1234.5', undefined, '-1234.5'], ['12.34', undefined, '12.34'], ['1.005', undefined, '1.005'], ['7', undefined, '7'], ['1e300', undefined, '1e+300'], ['Infinity', 'inf', '"Infinity"'], ['NaN', 'nan', '"NaN"']] },
  { type: 'numeric', values: [['123456789012345678901234567890.0100', undefined, '"123456789012345678901234567890.0100"'], ['NaN', undefined, '"NaN"']] },
  { type: 'date', values: [['2026-11-21', undefined, '"2026-11-21"'], ['infinity', '2299-12-31', '"infinity"'], ['1850-01-01', '1900-01-01', '"1850-01-01"']] },
  { type: 'timestamptz', values: [['2026-11-21 10:00:00.000001+00', '2026-11-21 10:00:00.000001', '"2026-11-21T10:00:00.000001Z"'], ['1969-12-31 23:59:59.999999+00', '1969-12-31 23:59:59.999999', '"1969-12-31T23:59:59.999999Z"'], ['2299-12-31 23:59:59.999999+00', '2299-12-31 23:59:59.999999', '"2299-12-31T23:59:59.999999Z"'], ['2300-01-01 00:00:00+00', '2299-12-31 23:59:59.999999', '"2300-01-01T00:00:00.000000Z"'], ['infinity', '2299-12-31 23:59:59.999999', '"infinity"'], ['-infinity', '1900-01-01 00:00:00.000000', '"-infinity"'], ['0044-03-15 12:00:00+00 BC', '1900-01-01 00:00:00.000000', '"0044-03-15 12:00:00+00 BC"']] },
  { type: 'timestamp', values: [['2026-11-21 10:00:00.5', '2026-11-21 10:00:00.500000', '"2026-11-21T10:00:00.500000"'], ['9999-12-31 23:59:59.999999', '2299-12-31 23:59:59.999999', '"9999-12-31T23:59:59.999999"']] },
  { type: 'uuid', values: uuids.map((uuid) => [uuid, undefined, `"${uuid}"`] as const) },
  { type: 'uuid', interned: true, values: [...uuids, ...uuids].map((uuid) => [uuid, undefined, `"${uuid}"`] as const) },
  { type: 'text', values: ['', 'plain', 'quote " backslash \\ newline \n tab \t bell \u0007', 'ü 🎉 \u2028', 'x'.repeat(300)].map((text) => [text, undefined, JSON.stringify(text)] as const) },
  { type: 'text', interned: true, values: ['ios', '', 'ios', 'a "b"'].map((text) => [text, undefined, JSON.stringify(text)] as const) },
  { type: 'json', values: [['{"b" : 1.10}', undefined, '{"b" : 1.10}']] },
  { type: 'jsonb', values: [['{"a": [12345678901234567890]}', undefined, '{"a": [12345678901234567890]}']] },
  { type: 'bytea', values: [['\\x4869', 'Hi', '"SGk="']] },
  { type: 'other', values: [['[1,5)', undefined, '"[1,5)"']] },
];

function vectorOf(type: ColumnType, interned: boolean, texts: readonly (string | null)[]): Vector {
  const column = makeColumn({ type, interned }, texts.length);
  texts.forEach((text, row) => (text === null ? column.setNull(row) : column.text(text, row)));
  return column.vector(texts.length);
}

test.each(cases)('every value of a column arrives: $type, interned: $interned', async ({ type, interned = false, values }) => {
  await using database = await throwAwayClickhouse();
  const client = createClient({ url: database.url });
  try {
    for (const nullable of [false, true]) {
      const texts = [...values.map(([text]) => text), ...(nullable ? [null] : [])];
      const vector = vectorOf(type, interned, texts);
      const shown = [...values.map(([text, clickhouse]) => clickhouse ?? text), ...(nullable ? [null] : [])];

      const { write, most, more } = jsonColumn(vector, '"ü":');
      const json = texts.map((_, row) => {
        const out = new JsonBuffer(most + (more?.(row) ?? 0)); // no more than it said: past the end it would throw
        out.length = write(out, 0, row);
        return out.view().toString().replace(/^"ü":/, '');
      });
      expect(json).toEqual([...values.map(([, , each]) => each), ...(nullable ? ['null'] : [])]);

      await client.command({ query: `CREATE TABLE t${Number(nullable)} (n UInt128, v ${columnType({ type, nullable, interned })}) ENGINE = Memory` });
      const positions = Uint32Array.from(texts.flatMap((_, row) => [row, 0, 0, 0]));
      const reversed = Uint32Array.from(texts.keys()).toReversed();
      const chunks = new Chunks();
      // whole, in two halves, and picked in another order: all of one column
      const middle = Math.floor(texts.length / 2);
      for (const [piece, words, start, end] of [[vector, positions, 0, middle], [vector, positions, middle, texts.length], [pickRows(vector, reversed), Uint32Array.from(reversed).reduce((all, row, index) => (all.set([row, 0, 0, 0], index * 4), all), new Uint32Array(texts.length * 4)), 0, texts.length]] as const) {
        writeBlock(chunks, [{ name: 'n', vector: { layout: 'positions', words }, nullable: false }, { name: 'v', vector: storedVector(piece), nullable }], start, end);
      }
      await insertNative(client, `INSERT INTO t${Number(nullable)} (n, v) FORMAT Native`, chunks.end());
      const result = await client.query({ query: `SELECT toString(v) AS v FROM t${Number(nullable)} ORDER BY n`, format: 'JSONEachRow' });
      expect((await result.json<{ v: string }>()).map(({ v }) => v)).toEqual(shown.flatMap((each) => [each, each]));
    }
  } finally {
    await client.close();
  }
});

test('a column that lost its dictionary is converted by the server', async () => {
  await using database = await throwAwayClickhouse();
  const client = createClient({ url: database.url });
  try {
    await client.command({ query: 'CREATE TABLE t (v LowCardinality(Nullable(String)), w Nullable(String)) ENGINE = Memory' });
    const chunks = new Chunks();
    writeBlock(chunks, [{ name: 'v', vector: vectorOf('text', false, ['a', null]), nullable: true }, { name: 'w', vector: vectorOf('text', true, ['a', null]), nullable: true }], 0, 2);
    await insertNative(client, 'INSERT INTO t (v, w) FORMAT Native', chunks.end());
    const result = await client.query({ query: 'SELECT v, w FROM t', format: 'JSONEachRow' });
    expect(await result.json()).toEqual([{ v: 'a', w: 'a' }, { v: null, w: null }]);
  } finally {
    await client.close();
  }
});
