import type { ColumnType } from '../columns/vector.ts';

/** What `./sluice init` knows of a source: plain data, as its catalogue says it. */
export type SourceFacts = {
  readonly database: string;
  readonly role: string;
  readonly walLevel: string;
  /** Stored generated columns are in the stream (PostgreSQL 18). */
  readonly sendsGenerated: boolean;
  readonly mayReplicate: boolean;
  readonly mayReadStats: boolean;
  /** May make a publication in the database. */
  readonly mayCreate: boolean;
  /** The sentence that refuses its synchronous_standby_names. */
  readonly synchronous: string | null;
  readonly tables: readonly TableFacts[];
};

/** A table that is not a partition of another. */
export type TableFacts = {
  readonly schema: string;
  readonly name: string;
  /** As it is written in SQL. */
  readonly sql: string;
  readonly partitioned: boolean;
  readonly unlogged: boolean;
  /** An estimate; null before the first ANALYZE. */
  readonly rows: number | null;
  readonly primaryKey: readonly string[];
  /** Columns that an index keeps unique alone, or with nothing but the partition columns: the primary key's first. */
  readonly unique: readonly string[];
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | 'index';
  /** The table and its partitions without REPLICA IDENTITY FULL, as they are written in SQL. */
  readonly withoutIdentity: readonly string[];
  readonly maySelect: boolean;
  readonly mayUseSchema: boolean;
  /** The role that owns it, if ours is not one of its members. */
  readonly foreignOwner: string | null;
  readonly columns: readonly ColumnFacts[];
};

export type ColumnFacts = {
  readonly name: string;
  /** Domains resolved, enums as text. */
  readonly type: ColumnType;
  /** As Postgres calls the type. */
  readonly typeName: string;
  readonly isEnum: boolean;
  readonly nullable: boolean;
  readonly generated: 'stored' | 'virtual' | null;
  /** How many distinct values, about; null without statistics. */
  readonly distinct: number | null;
  /** An index begins with it. */
  readonly indexed: boolean;
  /** The table that it refers to alone, as it is written in SQL. */
  readonly references: string | null;
};

export function relationOf({ schema, name }: TableFacts): string {
  return `${schema}.${name}`;
}
