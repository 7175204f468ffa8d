import type { Client } from 'pg';
import type { Check, Difference, Digest, Texts } from '../../core/verification.ts';
import { quote } from '../postgres/source-catalog.ts';
import type { ComparedColumn } from './columns.ts';
import { canonical } from './columns.ts';

export type Comparison = {
  readonly sink: string;
  readonly what: string;
  /** All columns of both queries, in order; the first `keys` of them find a row. */
  readonly columns: readonly ComparedColumn[];
  readonly keys: number;
  /** Queries in the working database. A row's key is never NULL. */
  readonly expected: string;
  readonly actual: string;
  readonly note?: string;
};

/** The two sides as sets of rows: full outer join by key, differences listed. */
export async function compare(database: Client, comparison: Comparison): Promise<Check> {
  const { sink, what, note } = comparison;
  await materialize(database, 'expected_rows', comparison.expected, comparison.columns);
  await materialize(database, 'actual_rows', comparison.actual, comparison.columns);
  const expected = await digest(database, 'expected_rows', comparison.columns);
  const actual = await digest(database, 'actual_rows', comparison.columns);
  const differences = [...(await differing(database, comparison)), ...(await repeated(database, comparison))].slice(0, listed);
  await database.query('drop table pg_temp.expected_rows; drop table pg_temp.actual_rows');
  return { sink, what, expected, actual, equal: differences.length === 0, differences, ...(note === undefined ? {} : { note }) };
}

const listed = 10;

async function materialize(database: Client, table: string, query: string, columns: readonly ComparedColumn[]): Promise<void> {
  const values = columns.map((column) => `${canonical(column)} as ${quote(column.name)}`);
  await database.query(`create temporary table ${table} as select ${values.join(', ')}, true as ${present} from (${query}) rows`);
  await database.query(`analyze pg_temp.${table}`);
}

/** No column of a definition can have this name. */
const present = '" present"';

async function digest(database: Client, table: string, columns: readonly ComparedColumn[]): Promise<Digest> {
  const row = `row(${columns.map(({ name }) => quote(name)).join(', ')})`;
  const { rows } = await database.query<{ rows: string; sum: string }>(`select count(*)::text as rows, coalesce(sum(hashtextextended(${row}::text, 0)), 0)::text as sum from pg_temp.${table}`);
  return { rows: Number(rows[0]!.rows), checksum: BigInt.asUintN(64, BigInt(rows[0]!.sum)).toString(16).padStart(16, '0') };
}

async function differing(database: Client, { columns, keys }: Comparison): Promise<Difference[]> {
  const side = (alias: string) => columns.map(({ name }) => `${alias}.${quote(name)}`).join(', ');
  const texts = (alias: string) => `array[${columns.map(({ name }) => `left(${alias}.${quote(name)}::text, ${longest})`).join(', ')}]`;
  const key = columns.slice(0, keys);
  const joined = key.map(({ name }) => `e.${quote(name)} = a.${quote(name)}`).join(' and ');
  const order = key.map(({ name }) => `coalesce(e.${quote(name)}, a.${quote(name)})`).join(', ');
  const { rows } = await database.query<{ expected: (string | null)[] | null; actual: (string | null)[] | null }>(
    `select case when e.${present} then ${texts('e')} end as expected, case when a.${present} then ${texts('a')} end as actual
       from pg_temp.expected_rows e full join pg_temp.actual_rows a on ${joined}
      where e.${present} is null or a.${present} is null or row(${side('e')}) is distinct from row(${side('a')})
      order by ${order} limit ${listed}`,
  );
  return rows.map(({ expected, actual }) => difference(columns, keys, expected, actual));
}

/** More of a text is not shown, though compared. */
const longest = 120;

function difference(columns: readonly ComparedColumn[], keys: number, expected: Values, actual: Values): Difference {
  const texts = (values: readonly (string | null)[], wanted: (place: number) => boolean): Texts =>
    Object.fromEntries(columns.flatMap(({ name }, place) => (wanted(place) ? [[name, values[place]!] as const] : [])));
  const key = texts((expected ?? actual)!, (place) => place < keys);
  const isValue = (place: number) => place >= keys;
  if (!actual) return { kind: 'missing', key, expected: texts(expected!, isValue) };
  if (!expected) return { kind: 'extra', key, actual: texts(actual, isValue) };
  const differs = (place: number) => expected[place] !== actual[place];
  // texts that differ behind what is shown of them
  const shown = columns.some((_, place) => differs(place)) ? differs : isValue;
  return { kind: 'changed', key, expected: texts(expected, shown), actual: texts(actual, shown) };
}

type Values = readonly (string | null)[] | null;

async function repeated(database: Client, { columns, keys }: Comparison): Promise<Difference[]> {
  const key = columns.slice(0, keys);
  const names = key.map(({ name }) => quote(name)).join(', ');
  const { rows } = await database.query<{ key: (string | null)[]; times: string }>(
    `select array[${key.map(({ name }) => `${quote(name)}::text`).join(', ')}] as key, count(*)::text as times
       from pg_temp.actual_rows group by ${names} having count(*) > 1 order by ${names} limit ${listed}`,
  );
  return rows.map((row) => ({ kind: 'repeated', key: Object.fromEntries(key.map(({ name }, place) => [name, row.key[place]!])), actual: { times: row.times } }));
}
