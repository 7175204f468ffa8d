import type { Client } from 'pg';
import type { Check, Difference, Digest, Texts } from '../../core/verification.ts';
import { quote } from '../postgres/source-catalog.ts';
import type { ComparedColumn } from './columns.ts';

export type Comparison = {
  readonly sink: string;
  readonly what: string;
  /** All columns of both queries, in order; the first `keys` of them find a row. */
  readonly columns: readonly ComparedColumn[];
  readonly keys: number;
  /** Queries in the working database. No key is NULL; `expected` has each key once. `actual` is read several times. */
  readonly expected: string;
  readonly actual: string;
  readonly note?: string;
  /** At most so many differences are listed; 10 if it is missing. */
  readonly listed?: number | undefined;
  /** In SQL, which window a row is of, as milliseconds since 1970. */
  readonly windowOf?: ((alias: string) => string) | undefined;
};

/** The two sides as sets of rows: full outer join by key, differences listed. */
export async function compare(database: Client, comparison: Comparison): Promise<Check> {
  const { sink, what, note, columns, listed = fewListed, windowOf } = comparison;
  const list = columns.map(({ name }) => quote(name)).join(', ');
  const row = `row(${list})`;
  await database.query(`create temporary table expected_rows as select ${list}, true as ${present} from (${comparison.expected}) rows`);
  await database.query('analyze pg_temp.expected_rows');
  await database.query(`create temporary view actual_rows as select ${list}, true as ${present} from (${comparison.actual}) rows`);
  const expected = await digest(database, 'expected_rows', row);
  const actual = await digest(database, 'actual_rows', row);
  const isSame = expected.rows === actual.rows && expected.checksum === actual.checksum && (await countDifferent(database, comparison)) === 0;
  const differences = isSame ? [] : [...(await differing(database, comparison, listed)), ...(await repeated(database, comparison, listed))].slice(0, listed);
  const windows = windowOf && (isSame ? [] : await differingWindows(database, comparison, windowOf));
  await database.query('drop table pg_temp.expected_rows; drop view pg_temp.actual_rows');
  return { sink, what, expected, actual, equal: differences.length === 0, differences, ...(windows && { windows }), ...(note === undefined ? {} : { note }) };
}

const fewListed = 10;

/** No column of a definition can have this name. */
const present = '" present"';

/** Equal rows have equal hashes: -0 is 0 to them, and a numeric's zeros at the end do not matter. */
async function digest(database: Client, table: string, row: string): Promise<Digest> {
  const { rows } = await database.query<{ rows: string; sum: string }>(`select count(*)::text as rows, coalesce(sum(hash_record_extended(${row}, 0)), 0)::text as sum from pg_temp.${table}`);
  return { rows: Number(rows[0]!.rows), checksum: BigInt.asUintN(64, BigInt(rows[0]!.sum)).toString(16).padStart(16, '0') };
}

/** The full join of the two sides, as far as they differ. */
function joined({ columns, keys }: Comparison): string {
  const side = (alias: string) => columns.map(({ name }) => `${alias}.${quote(name)}`).join(', ');
  const on = columns.slice(0, keys).map(({ name }) => `e.${quote(name)} = a.${quote(name)}`).join(' and ');
  return `from pg_temp.expected_rows e full join pg_temp.actual_rows a on ${on}
    where e.${present} is null or a.${present} is null or row(${side('e')}) is distinct from row(${side('a')})`;
}

async function countDifferent(database: Client, comparison: Comparison): Promise<number> {
  const { rows } = await database.query<{ count: string }>(`select count(*) as count ${joined(comparison)}`);
  return Number(rows[0]!.count);
}

async function differingWindows(database: Client, comparison: Comparison, windowOf: (alias: string) => string): Promise<number[]> {
  const keys = keysOf(comparison);
  const { rows } = await database.query<{ ms: string }>(
    `select distinct ms from (
       select unnest(array[${windowOf('e')}, ${windowOf('a')}]) as ms ${joined(comparison)}
       union all select ${windowOf('a')} from pg_temp.actual_rows a where (${keys}) in (select ${keys} from pg_temp.actual_rows group by ${keys} having count(*) > 1)
     ) windows where ms is not null order by ms`,
  );
  return rows.map(({ ms }) => Number(ms));
}

function keysOf({ columns, keys }: Comparison): string {
  return columns.slice(0, keys).map(({ name }) => quote(name)).join(', ');
}

async function differing(database: Client, comparison: Comparison, listed: number): Promise<Difference[]> {
  const { columns, keys } = comparison;
  const texts = (alias: string) => `array[${columns.map(({ name, type }) => `left(${type === 'numeric' ? `trim_scale(${alias}.${quote(name)})` : `${alias}.${quote(name)}`}::text, ${longest})`).join(', ')}]`;
  const differs = `array[${columns.map(({ name }) => `e.${quote(name)} is distinct from a.${quote(name)}`).join(', ')}]`;
  const order = columns.slice(0, keys).map(({ name }) => `coalesce(e.${quote(name)}, a.${quote(name)})`).join(', ');
  const { rows } = await database.query<{ expected: Values; actual: Values; differs: boolean[] }>(
    `select case when e.${present} then ${texts('e')} end as expected, case when a.${present} then ${texts('a')} end as actual, ${differs} as differs
     ${joined(comparison)} order by ${order} limit ${listed}`,
  );
  return rows.map((row) => difference(columns, keys, row));
}

/** More of a text is not shown, though compared. */
const longest = 120;

function difference(columns: readonly ComparedColumn[], keys: number, { expected, actual, differs }: { expected: Values; actual: Values; differs: readonly boolean[] }): Difference {
  const texts = (values: readonly (string | null)[], wanted: (place: number) => boolean): Texts =>
    Object.fromEntries(columns.flatMap(({ name }, place) => (wanted(place) ? [[name, values[place]!] as const] : [])));
  const key = texts((expected ?? actual)!, (place) => place < keys);
  const isValue = (place: number) => place >= keys;
  if (!actual) return { kind: 'missing', key, expected: texts(expected!, isValue) };
  if (!expected) return { kind: 'extra', key, actual: texts(actual, isValue) };
  const isChanged = (place: number) => differs[place]!;
  return { kind: 'changed', key, expected: texts(expected, isChanged), actual: texts(actual, isChanged) };
}

type Values = readonly (string | null)[] | null;

async function repeated(database: Client, comparison: Comparison, listed: number): Promise<Difference[]> {
  const key = comparison.columns.slice(0, comparison.keys);
  const names = keysOf(comparison);
  const { rows } = await database.query<{ key: (string | null)[]; times: string }>(
    `select array[${key.map(({ name }) => `${quote(name)}::text`).join(', ')}] as key, count(*)::text as times
       from pg_temp.actual_rows group by ${names} having count(*) > 1 order by ${names} limit ${listed}`,
  );
  return rows.map((row) => ({ kind: 'repeated', key: Object.fromEntries(key.map(({ name }, place) => [name, row.key[place]!])), actual: { times: row.times } }));
}
