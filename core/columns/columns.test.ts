import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dateFromText, timestampFromText } from './parse-text.ts';
import { dateText, postgresText, timestampText } from './postgres-text.ts';
import { makeColumn } from './make-column.ts';
import type { ColumnType } from './vector.ts';
import { valueAt } from './vector.ts';

/** Fields as pgoutput sends them. */
const nullField = Buffer.from('n');
const unchangedField = Buffer.from('u');
function field(kind: 'b' | 't', value: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(kind);
  head.writeInt32BE(value.length, 1);
  return Buffer.concat([head, value]);
}
const int64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};
const since2000 = 946_684_800_000_000n;

/** For each type: a binary value and its text, made independently of the code under test. */
const samples = {
  bool: fc.boolean().map((v) => [Buffer.from([v ? 1 : 0]), v ? 't' : 'f']),
  int2: fc.integer({ min: -32768, max: 32767 }).map((v) => { const b = Buffer.alloc(2); b.writeInt16BE(v); return [b, String(v)]; }),
  int4: fc.integer().map((v) => { const b = Buffer.alloc(4); b.writeInt32BE(v); return [b, String(v)]; }),
  oid: fc.nat({ max: 0xffffffff }).map((v) => { const b = Buffer.alloc(4); b.writeUInt32BE(v); return [b, String(v)]; }),
  int8: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((v) => [int64(v), String(v)]),
  float8: fc.double({ noNaN: true }).map((v) => { const b = Buffer.alloc(8); b.writeDoubleBE(v); return [b, Object.is(v, -0) ? '-0' : String(v)]; }),
  uuid: fc.uuid().map((v) => [Buffer.from(v.replaceAll('-', ''), 'hex'), v]),
  text: fc.string({ unit: 'binary', maxLength: 300 }).map((v) => [Buffer.from(v), Buffer.from(v).toString()]),
  jsonb: fc.json().map((v) => [Buffer.concat([Buffer.from([1]), Buffer.from(v)]), v]),
  bytea: fc.uint8Array({ maxLength: 200 }).map((v) => [Buffer.from(v), `\\x${Buffer.from(v).toString('hex')}`]),
  timestamptz: fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }).map((v) => [
    int64(BigInt(v.getTime()) * 1000n + 7n - since2000),
    v.toISOString().replace('T', ' ').replace('Z', '').replace(/^\+?0*(\d{4})/, '$1') .replace(/\.(\d{3})$/, '.$1007') + '+00',
  ]),
} satisfies Partial<Record<ColumnType, fc.Arbitrary<(Buffer | string)[]>>>;

describe.each(Object.entries(samples))('column of %s', (type, sample) => {
  for (const interned of type === 'text' || type === 'uuid' ? [false, true] : [false]) {
    test(`binary and text decode to the same value, NULL and unchanged are kept apart${interned ? ', interned' : ''}`, () => {
      fc.assert(
        fc.property(fc.array(fc.oneof({ arbitrary: sample as fc.Arbitrary<[Buffer, string]>, weight: 4 }, fc.constant(null), fc.constant(undefined)), { maxLength: 40 }), (values) => {
          const binary = makeColumn({ type: type as ColumnType, interned }, 8);
          const text = makeColumn({ type: type as ColumnType, interned }, 8);
          binary.reserve(values.length);
          text.reserve(values.length);
          values.forEach((value, row) => {
            for (const [column, bytes] of [[binary, value && field('b', value[0])], [text, value && field('t', Buffer.from(value[1]))]] as const) {
              const wire = bytes ?? (value === null ? nullField : unchangedField);
              expect(column.read(Buffer.concat([Buffer.from('x'), wire]), 1, row)).toBe(1 + wire.length);
            }
          });
          const [a, b] = [binary.vector(values.length), text.vector(values.length)];
          values.forEach((value, row) => {
            if (!value) {
              expect(valueAt(a, row)).toBe(value);
              expect(valueAt(b, row)).toBe(value);
              return;
            }
            expect(postgresText(a, row)).toBe(value[1]);
            expect(postgresText(b, row)).toBe(value[1]);
          });
        }),
        { numRuns: 60 },
      );
    });
  }
});

test('U+FEFF in front is part of a text, as it is to Postgres: with it a key is another', () => {
  const text = '\u{feff}a';
  const bytes = Buffer.from(text);
  for (const interned of [false, true]) {
    const column = makeColumn({ type: 'text', interned }, 8);
    column.read(field('b', bytes), 0, 0);
    expect(postgresText(column.vector(1), 0)).toBe(text);
  }
});

describe('interning', () => {
  test.each(['text', 'uuid'] as const)('a column of %s with many distinct values is demoted, and no value is lost', (type) => {
    const column = makeColumn({ type, interned: true }, 8192);
    const value = (row: number) => (type === 'text' ? `value ${row}` : `00000000-0000-4000-8000-${row.toString(16).padStart(12, '0')}`);
    for (let row = 0; row < 6000; row++) {
      if (row % 7 === 3) column.setNull(row);
      else column.text(value(row), row);
    }
    const vector = column.vector(6000);
    expect(vector.layout).toBe(type === 'text' ? 'bytes' : 'words4');
    for (let row = 0; row < 6000; row++) expect(valueAt(vector, row)).toBe(row % 7 === 3 ? null : value(row));
  });

  test('few distinct values stay interned over batches, with stable ids', () => {
    const column = makeColumn({ type: 'text', interned: true }, 100);
    for (const batch of [0, 1]) {
      for (let row = 0; row < 100; row++) column.text(`kind ${row % 3}`, row);
      const vector = column.vector(100);
      if (vector.layout !== 'interned') throw new Error(`batch ${batch} is ${vector.layout}`);
      expect([...vector.ids.subarray(0, 6)]).toEqual([0, 1, 2, 0, 1, 2]);
      column.reset();
    }
  });
});

describe('timestamps', () => {
  test.each([
    ['infinity', 0x7fffffffffffffffn],
    ['-infinity', -0x8000000000000000n],
    ['1970-01-01 00:00:00+00', 0n],
    ['1969-12-31 23:59:59.999999+00', -1n],
    ['2000-01-01 00:00:00+00', since2000],
    ['4713-01-01 00:00:00+00 BC', -210866803200000000n + 38n * 86400000000n],
    ['294276-12-31 23:59:59.999999+00', 9224318015999999999n],
  ])('%s', (text, microseconds) => {
    expect(timestampFromText(text)).toBe(microseconds);
    expect(timestampText(microseconds, '+00')).toBe(text);
  });

  test.each([
    ['294247-01-10 02:49:19.808511+00', '294247-01-10 02:49:19.808511+00'],
    ['294247-01-10 02:49:19.808512+00', '294247-01-10 02:49:19.808511+00'],
    ['294276-12-31 23:59:59.999999+00', '294247-01-10 02:49:19.808511+00'],
    ['infinity', 'infinity'],
    ['4713-01-01 00:00:00+00 BC', '4713-01-01 00:00:00+00 BC'],
  ])('%s stands at %s: 64 bits have no more room', (source, stands) => {
    const wireTime = source === 'infinity' ? 0x7fffffffffffffffn : timestampFromText(source) - 946_684_800_000_000n;
    const wire = Buffer.alloc(13);
    wire.write('b');
    wire.writeInt32BE(8, 1);
    wire.writeBigInt64BE(wireTime, 5);
    const column = makeColumn({ type: 'timestamptz', interned: false }, 2);
    column.read(wire, 0, 0);
    column.text(source, 1);
    const vector = column.vector(2);
    expect([postgresText(vector, 0), postgresText(vector, 1)]).toEqual([stands, stands]);
  });

  test('dates and their texts are inverse', () => {
    fc.assert(fc.property(fc.integer({ min: -2_400_000, max: 100_000_000 }), (days) => dateFromText(dateText(days)) === days));
  });
});
