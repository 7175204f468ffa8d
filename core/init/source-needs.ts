import { quotedName } from '../sql-names.ts';
import { relationOf, type SourceFacts, type TableFacts } from './source-facts.ts';

/** What the source lacks: why, and what to type there. */
export type Need = { readonly why: string; readonly sql: string };

/** All that would park the pipeline at its start, in the order in which the product would find it. */
export function sourceNeeds(facts: SourceFacts, table: TableFacts, appendOnly: boolean): readonly Need[] {
  const relation = relationOf(table);
  const role = quotedName(facts.role);
  const virtual = appendOnly ? [] : table.columns.filter(({ generated }) => generated === 'virtual');
  const needs: (Need | false)[] = [
    facts.walLevel !== 'logical' && { why: `wal_level is ${facts.walLevel}, and a change stream needs logical; then restart that server`, sql: `ALTER SYSTEM SET wal_level = 'logical';` },
    facts.synchronous !== null && { why: facts.synchronous, sql: `ALTER SYSTEM SET synchronous_standby_names = '...'; SELECT pg_reload_conf();` },
    !facts.mayReplicate && { why: `${facts.role} may not read a change stream`, sql: `ALTER ROLE ${role} REPLICATION;` },
    !facts.mayCreate && { why: `${facts.role} may not make the publication`, sql: `GRANT CREATE ON DATABASE ${quotedName(facts.database)} TO ${role};` },
    table.foreignOwner !== null && { why: `only the owner of ${relation} may publish it`, sql: `GRANT ${quotedName(table.foreignOwner)} TO ${role};` },
    !table.mayUseSchema && { why: `${facts.role} may not look into the schema ${table.schema}`, sql: `GRANT USAGE ON SCHEMA ${quotedName(table.schema)} TO ${role};` },
    !table.maySelect && { why: `${facts.role} may not read ${relation}`, sql: `GRANT SELECT ON ${table.sql} TO ${role};` },
    !facts.mayReadStats && { why: 'so that windows close while nothing is written', sql: `GRANT pg_read_all_stats TO ${role};` },
    ...virtual.map(({ name }) => ({ why: `${name} is generated and not stored: with REPLICA IDENTITY FULL, PostgreSQL would refuse every update of a published table that has one. Drop it, make it STORED, or say --append-only`, sql: `ALTER TABLE ${table.sql} DROP COLUMN ${quotedName(name)};` })),
    ...(appendOnly ? [] : table.withoutIdentity).map((each) => ({ why: 'an update or delete must say which row it took away, so that windows can be corrected (or say --append-only)', sql: `ALTER TABLE ${each} REPLICA IDENTITY FULL;` })),
  ];
  return needs.filter((need) => need !== false);
}

/** What is not needed, and makes a difference: each chunk of a backfill would read all of the table. */
export function indexAdvice(table: TableFacts, eventTime: string): Need | undefined {
  if (table.columns.find(({ name }) => name === eventTime)?.indexed) return undefined;
  // PostgreSQL has no CONCURRENTLY for partitioned tables
  return { why: `no index begins with ${eventTime}: ./sluice backfill and verify would read all of the table`, sql: `CREATE INDEX${table.partitioned ? '' : ' CONCURRENTLY'} ON ${table.sql} (${quotedName(eventTime)});` };
}
