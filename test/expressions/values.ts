import fc from 'fast-check';
import type { ColumnType } from '../../core/columns/vector.ts';

/** Values of each type as Postgres' text, with those on which loops and SQL could differ; about a seventh are NULL. */
export function textOf(type: ColumnType): fc.Arbitrary<string | null> {
  return fc.option(values[type] ?? fc.constant(''), { freq: 6 });
}

const integer = (bits: number) => {
  const least = -(2n ** BigInt(bits - 1));
  const near = (value: bigint) => [value - 1n, value, value + 1n];
  const edges = [
    least,
    -least - 1n,
    0n,
    1n,
    -1n,
    3n,
    1000n,
    ...(bits === 64 ? [...near(2n ** 53n), ...near(-(2n ** 53n)), ...near(2n ** 32n), ...near(-(2n ** 32n))] : []),
  ];
  return fc
    .oneof(fc.constantFrom(...edges), fc.bigInt({ min: least, max: -least - 1n }), fc.bigInt({ min: -100n, max: 100n }))
    .map(String);
};

const floatText = (value: number) => (Object.is(value, -0) ? '-0' : String(value));
const floatEdges = [
  0,
  -0,
  0.1,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  1.005,
  0.49999999999999994,
  4503599627370495.5,
  9007199254740991,
  9007199254740992,
  1e15,
  5e-324,
  2.2250738585072014e-308,
  1e-150,
  9.999999999999999e-151,
  1e150,
  1.0000000000000002e150,
  1.7976931348623157e308,
  Number.NaN,
  Infinity,
  -Infinity,
];
const float8 = fc.oneof(fc.constantFrom(...floatEdges), fc.double(), fc.double({ min: -1e6, max: 1e6, noNaN: true }));
const float4 = fc
  .oneof(fc.constantFrom(0, -0, 0.5, 0.1, 1e-45, 3.4028234663852886e38, Number.NaN, Infinity, -Infinity), fc.float())
  .map(Math.fround);

const words = ['play', 'finish', 'click', 'pause', 'Play', '', "it's", 'back\\slash', 'ä', 'z', '😀', '\u{fffd}', '\u{feff}play', ' '];
const text = fc
  .oneof(fc.constantFrom(...words), fc.string({ unit: 'grapheme', maxLength: 6 }), fc.constant('long'.repeat(40)))
  .filter((value) => !value.includes('\0'));

const timestamp = fc.oneof(
  fc.constantFrom(
    'infinity',
    '-infinity',
    '0044-03-15 12:00:00 BC',
    '9999-12-31 23:59:59.999999',
    '1970-01-01 00:00:00',
    '2026-11-21 10:00:00.000001',
    '2026-11-21 10:00:00',
  ),
  fc
    .date({ min: new Date(-1e13), max: new Date(1e13), noInvalidDate: true })
    .map((date) => date.toISOString().slice(0, -1).replace('T', ' ')),
);

const values: Partial<Record<ColumnType, fc.Arbitrary<string>>> = {
  bool: fc.constantFrom('t', 'f'),
  int2: integer(16),
  int4: integer(32),
  int8: integer(64),
  float4: float4.map(floatText),
  float8: float8.map(floatText),
  numeric: fc.oneof(
    fc.constantFrom(
      'NaN',
      'Infinity',
      '-Infinity',
      '0',
      '0.5',
      '-0.5',
      '2.5',
      '1.45',
      '-1.55',
      '0.0004999',
      '9007199254740991.4',
      '9007199254740991.5',
      '-9007199254740992',
      '0.000000000000000000001',
    ),
    fc
      .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.nat(24))
      .map(([whole, fraction]) => `${whole}.${fraction}`),
  ),
  date: fc.oneof(
    fc.constantFrom('infinity', '-infinity', '1970-01-01', '0044-03-15 BC'),
    fc.integer({ min: -50_000, max: 50_000 }).map((days) => new Date(days * 86_400_000).toISOString().slice(0, 10)),
  ),
  timestamp,
  timestamptz: timestamp.map((value) =>
    value.includes(' BC') ? value.replace(' BC', '+00 BC') : value.includes('infinity') ? value : `${value}+00`,
  ),
  uuid: fc.oneof(
    fc.uuid(),
    fc.constantFrom(
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      '00000000-0000-0001-8000-000000000000',
    ),
  ),
  text,
  jsonb: fc.constantFrom('{"a": 1}', 'null', '[]'),
  bytea: fc.uint8Array({ maxLength: 5 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
};
