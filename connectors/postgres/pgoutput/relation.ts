import { tuplePlan } from '../../../core/capture/tuple-plan.ts';
import type { TuplePlan } from '../../../core/capture/tuple-plan.ts';
import type { TableWriters } from '../../../core/capture/assembler.ts';
import type { ColumnType } from '../../../core/columns/vector.ts';
import { nameInSource, type EventTable, type Table } from '../../../core/pipeline.ts';
import { keepsOrder } from '../../../core/migration/source-changes.ts';
import { ConfigurationError } from '../../sink.ts';

/** A Relation message. https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html */
export type Relation = {
  readonly name: string;
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | 'index';
  readonly columns: readonly { readonly name: string; readonly typeOid: number }[];
};

/** How tuples of a relation are read into its table's writers. */
export type RelationPlan = {
  readonly table: TableWriters;
  readonly after: TuplePlan;
  readonly before: TuplePlan;
  /** Field number of each declared column. */
  readonly fieldOf: ReadonlyMap<string, number>;
  /** The relation is not what the pipeline knows: of its rows only those that were spooled before may be read, to be counted. */
  readonly changed: SchemaChanged | undefined;
};

export type KnownColumns = {
  /** A Postgres type by its OID, domains resolved to their base. */
  readonly typeOf: (oid: number) => ColumnType;
  /** What a table's column was called in the source before migrations, oldest first. */
  readonly formerNames: (table: string, column: string) => readonly string[];
  /** All names of a table's columns in their order; undefined: not known. */
  readonly knownNames: (table: string) => readonly string[] | undefined;
};

export function readRelation(bytes: Buffer, start: number): { id: number; relation: Relation } {
  let at = start;
  const text = () => {
    const end = bytes.indexOf(0, at);
    const value = bytes.toString('utf8', at, end);
    at = end + 1;
    return value;
  };
  const id = bytes.readInt32BE(at);
  at += 4;
  const namespace = text() || 'pg_catalog';
  const name = `${namespace}.${text()}`;
  const replicaIdentity = identities[String.fromCharCode(bytes[at++]!)] ?? 'nothing';
  const count = bytes.readInt16BE(at);
  at += 2;
  const columns = [];
  for (let i = 0; i < count; i++) {
    at += 1; // flags: part of the key
    const column = text();
    columns.push({ name: column, typeOid: bytes.readUInt32BE(at) });
    at += 8; // type and its modifier
  }
  return { id, relation: { name, replicaIdentity, columns } };
}

/**
 * Compares a relation with the pipeline and compiles its plans. Columns that the pipeline does not name are passed over, so
 * new ones do no harm; but where names have changed places, one may be another column's.
 */
export function planRelation(relation: Relation, schema: Table | EventTable, table: TableWriters, { typeOf, formerNames, knownNames }: KnownColumns): RelationPlan {
  const fieldOf = new Map<string, number>();
  const find = (column: string, names: readonly string[]) => {
    const field = names.map((each) => relation.columns.findIndex(({ name, typeOid }) => name === each && typeOf(typeOid) === schema.columns[column]!.type)).find((each) => each >= 0);
    if (field !== undefined) fieldOf.set(column, field);
    return field !== undefined;
  };
  const read = Object.keys(schema.columns).filter((column) => nameInSource(schema, column) !== undefined);
  const isFound = read.map((column) => find(column, [nameInSource(schema, column)!])).every(Boolean);
  const fits = isFound && keepsOrder(knownNames(table.name) ?? [], relation.columns.map(({ name }) => name));
  if (!fits) {
    // rows of before the change that come again: their ordinals need the key, and their transaction's clock the event time
    fieldOf.clear();
    for (const column of [schema.key, ...('eventTime' in schema ? [schema.eventTime] : [])]) find(column, [nameInSource(schema, column) ?? column, ...formerNames(table.name, column).toReversed()]);
  }
  const plan = ({ columns }: TableWriters['after']) => {
    const names = new Map([...fieldOf].map(([column, field]) => [field, column]));
    const missing = [...columns].flatMap(([column, writer]) => (fieldOf.has(column) ? [] : [writer]));
    return tuplePlan(relation.columns.map((_, field) => columns.get(names.get(field) ?? '')), missing);
  };
  return { table, fieldOf, after: plan(table.after), before: plan(table.before), changed: fits ? undefined : new SchemaChanged(table.name, relation) };
}

/** Rows of a form that the pipeline does not know yet begin here: a migration must settle what becomes of them. */
export class SchemaChanged extends Error {
  override readonly name = 'SchemaChanged';
  /** The table's name in the definition. */
  readonly table: string;
  readonly relation: Relation;
  constructor(table: string, relation: Relation) {
    super(`table ${relation.name} has other columns from here on: ${relation.columns.map(({ name }) => name).join(', ')}`);
    this.table = table;
    this.relation = relation;
  }
}

export function replicaIdentityMissing(table: string): ConfigurationError {
  return new ConfigurationError(
    `Table ${table} does not have REPLICA IDENTITY FULL: an update or delete would not say which row it took away, so windows could not be corrected.`,
    { mend: { type: `ALTER TABLE ${table} REPLICA IDENTITY FULL;`, otherwise: ' or declare the table appendOnly.' } },
  );
}

const identities: Record<string, Relation['replicaIdentity']> = { d: 'default', n: 'nothing', f: 'full', i: 'index' };

