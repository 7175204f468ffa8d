import { canBeKey } from '../define/check-source.ts';
import { quotedName } from '../sql-names.ts';
import { relationOf, type ColumnFacts, type SourceFacts, type TableFacts } from './source-facts.ts';

type Given = { readonly sendsGenerated: boolean };

/** Why a definition cannot name this column; undefined if it can. */
export function leftOutBecause(column: ColumnFacts, { sendsGenerated }: Given): string | undefined {
  if (column.name.startsWith('_')) return 'names that begin with _ are kept for the columns that sinks add';
  if (column.type === 'oid') return 'an oid has no column type in a definition';
  if (column.generated === 'virtual') return 'it is generated and not stored, so it is in no stream';
  if (column.generated === 'stored' && !sendsGenerated) return 'it is generated, and sent from PostgreSQL 18 on only';
  return undefined;
}

export function declarable(table: TableFacts, given: Given): readonly ColumnFacts[] {
  return table.columns.filter((column) => leftOutBecause(column, given) === undefined);
}

/** Columns that can be the key, those of the primary key first. */
export function keyCandidates(table: TableFacts, given: Given): readonly ColumnFacts[] {
  const found = declarable(table, given).filter((column) => table.unique.includes(column.name) && keyProblem(column) === undefined);
  return found.toSorted((a, b) => table.unique.indexOf(a.name) - table.unique.indexOf(b.name));
}

/** What keeps a unique column from being the key. */
function keyProblem(column: ColumnFacts): string | undefined {
  if (!canBeKey({ ...column, interned: false })) return `is ${column.typeName}, and a key is text, uuid, an integer or a boolean`;
  return column.nullable ? 'can be NULL, and a key must be NOT NULL' : undefined;
}

/** Columns that can be the event time, the likeliest first: indexed ones, then names like created_at. */
export function timeCandidates(table: TableFacts, given: Given): readonly ColumnFacts[] {
  const rank = (column: ColumnFacts) => (/updat|modif|delet|expir|chang/i.test(column.name) ? 4 : 0) + (column.indexed ? 0 : 2) + (isBirth(column.name) ? 0 : 1);
  return declarable(table, given)
    .filter(({ type }) => type === 'timestamptz' || type === 'timestamp')
    .toSorted((a, b) => rank(a) - rank(b));
}

function isBirth(name: string): boolean {
  return /creat|insert|occur|happen|event|^(ts|at|time|timestamp|mtime)$/i.test(name);
}

/** The sentence that says why no pipeline can have this table as its events, and what to do; undefined if one can. */
export function tableRefusal(table: TableFacts, given: SourceFacts): string | undefined {
  const relation = relationOf(table);
  if (/[.\s]/.test(table.schema) || /[.\s]/.test(table.name))
    return `Table ${table.sql} cannot be named in a definition: names of schemas and tables must have no blank and no dot. Rename it: ALTER TABLE ${table.sql} RENAME TO …;`;
  if (table.unlogged) return `Table ${relation} is unlogged, and PostgreSQL publishes no changes of such tables. Type in the source: ALTER TABLE ${table.sql} SET LOGGED;`;
  if (keyCandidates(table, given).length === 0) return keyRefusal(table);
  if (timeCandidates(table, given).length === 0) return timeRefusal(table);
  return undefined;
}

function keyRefusal(table: TableFacts): string {
  const relation = relationOf(table);
  const add = `ALTER TABLE ${table.sql} ADD COLUMN sluice_id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE; (it rewrites the table)`;
  const unfit = table.columns.filter(({ name }) => table.unique.includes(name));
  const [first] = unfit;
  if (first) {
    const problem = keyProblem(first);
    const remedy = first.nullable && canBeKey({ ...first, interned: false }) ? `ALTER TABLE ${table.sql} ALTER COLUMN ${quotedName(first.name)} SET NOT NULL;` : add;
    return `Table ${relation} has no column that can be the key: ${first.name} ${problem ?? 'cannot be named in a definition'}. Type in the source: ${table.partitioned && remedy === add ? partitionedRemedy : remedy}`;
  }
  const has = table.primaryKey.length > 1 ? `The primary key of ${relation} is (${table.primaryKey.join(', ')}), and the key of a definition is one column that is unique alone` : `Table ${relation} has no primary key and no unique index on a column alone, and a definition needs one`;
  return `${has}. ${table.partitioned ? partitionedRemedy : `Give it one; type in the source: ${add}`}`;
}

const partitionedRemedy = 'A partitioned table needs a primary key of that column and its partition columns: ALTER TABLE … ADD PRIMARY KEY (…);';

function timeRefusal(table: TableFacts): string {
  const dates = table.columns.filter(({ type }) => type === 'date').map(({ name }) => name);
  const because = dates.length > 0 ? ` (${dates.join(', ')}: a date is no event time)` : '';
  return `Table ${relationOf(table)} has no timestamptz or timestamp column that a definition can name, and windows need one${because}. Type in the source: ALTER TABLE ${table.sql} ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();`;
}
