import { tuplePlan } from '../../../core/capture/tuple-plan.ts';
import type { TuplePlan } from '../../../core/capture/tuple-plan.ts';
import type { TableWriters } from '../../../core/capture/assembler.ts';
import type { ColumnType } from '../../../core/columns/vector.ts';
import { loadAnew } from '../../../core/load-anew.ts';
import type { EventTable, Table } from '../../../core/pipeline.ts';
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
 * Checks a relation against the definition and compiles its plans. Columns that the definition does not name are passed
 * over, so new ones do no harm. Throws a ConfigurationError for what a migration must settle.
 */
export function planRelation(pipeline: string, relation: Relation, schema: Table | EventTable, table: TableWriters, typeOf: (oid: number) => ColumnType): RelationPlan {
  const fieldOf = new Map<string, number>();
  for (const [name, column] of Object.entries(schema.columns)) {
    const field = relation.columns.findIndex((candidate) => candidate.name === name);
    if (field < 0) throw schemaChanged(pipeline, relation, `column ${name} is gone from the source, and the pipeline's definition uses it`);
    const found = typeOf(relation.columns[field]!.typeOid);
    if (found !== column.type) throw schemaChanged(pipeline, relation, `column ${name} is ${found} in the source, and the pipeline's definition says ${column.type}`);
    fieldOf.set(name, field);
  }
  const fields = (columns: TableWriters['after']['columns']) => relation.columns.map(({ name }) => (fieldOf.has(name) ? columns.get(name) : undefined));
  return { table, fieldOf, after: tuplePlan(fields(table.after.columns)), before: tuplePlan(fields(table.before.columns)) };
}

export function replicaIdentityMissing(table: string): ConfigurationError {
  return new ConfigurationError(
    `Table ${table} does not have REPLICA IDENTITY FULL: an update or delete would not say which row it took away, so windows could not be corrected.`,
    { mend: { type: `ALTER TABLE ${table} REPLICA IDENTITY FULL;`, otherwise: ' or declare the table appendOnly.' } },
  );
}

function schemaChanged(pipeline: string, relation: Relation, what: string): ConfigurationError {
  return new ConfigurationError(`Table ${relation.name} changed: ${what}. The rows that were written since have the new form, so changing it back is not enough. ${loadAnew(pipeline)}`);
}

const identities: Record<string, Relation['replicaIdentity']> = { d: 'default', n: 'nothing', f: 'full', i: 'index' };

