import type { Client } from 'pg';
import type { ColumnFacts, SourceFacts, TableFacts } from '../../core/init/source-facts.ts';
import { uniqueColumns } from './row-key.ts';
import { columnTypeOf, sendsGenerated } from './source-catalog.ts';
import { assertNotSynchronous } from './synchronous-standby.ts';

/** What `./sluice init` must know before there is a pipeline. Changes nothing, and demands nothing. */
export async function readSourceFacts(client: Client, pipeline: string): Promise<SourceFacts> {
  await client.query('begin transaction isolation level repeatable read, read only');
  const { rows: [server] } = await client.query<Omit<SourceFacts, 'sendsGenerated' | 'synchronous' | 'tables'> & { standbys: string }>(
    `select current_database() as database, current_user as role, current_setting('wal_level') as "walLevel", current_setting('synchronous_standby_names') as standbys,
            exists (select from pg_roles r where pg_has_role(r.oid, 'member') and (r.rolname = current_user and (r.rolreplication or r.rolsuper) or r.rolname = 'rds_replication')) as "mayReplicate",
            pg_has_role('pg_read_all_stats', 'usage') as "mayReadStats", has_database_privilege(current_database(), 'create') as "mayCreate"`,
  );
  const { standbys, ...rest } = server!;
  const facts = { ...rest, sendsGenerated: await sendsGenerated(client), synchronous: refusalOf(pipeline, standbys), tables: await readTables(client) };
  await client.query('commit');
  return facts;
}

function refusalOf(pipeline: string, standbys: string): string | null {
  try {
    assertNotSynchronous(pipeline, standbys);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

type TableRow = Omit<TableFacts, 'columns' | 'unique'> & { readonly oid: string };

async function readTables(client: Client): Promise<TableFacts[]> {
  const { rows } = await client.query<TableRow>(
    `select c.oid::text, n.nspname as schema, c.relname as name, format('%I.%I', n.nspname, c.relname) as sql, c.relkind = 'p' as partitioned, c.relpersistence = 'u' as unlogged,
            (select sum(p.reltuples) from pg_class p where p.relkind = 'r' and p.reltuples >= 0 and p.oid in (select c.oid union select relid from pg_partition_tree(c.oid)))::float8 as rows,
            array(select a.attname::text from pg_index i cross join unnest(i.indkey::int2[]) with ordinality as part (attnum, place) join pg_attribute a on a.attrelid = c.oid and a.attnum = part.attnum
                   where i.indrelid = c.oid and i.indisprimary and part.place <= i.indnkeyatts order by part.place) as "primaryKey",
            case c.relreplident when 'f' then 'full' when 'n' then 'nothing' when 'i' then 'index' else 'default' end as "replicaIdentity",
            array(select format('%I.%I', pn.nspname, p.relname) from pg_class p join pg_namespace pn on pn.oid = p.relnamespace
                   where p.relreplident <> 'f' and p.oid in (select c.oid union select relid from pg_partition_tree(c.oid)) order by p.oid <> c.oid, 1) as "withoutIdentity",
            has_table_privilege(c.oid, 'select') as "maySelect", has_schema_privilege(n.oid, 'usage') as "mayUseSchema",
            case when not pg_has_role(c.relowner, 'usage') then pg_get_userbyid(c.relowner)::text end as "foreignOwner"
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
      order by n.nspname <> 'public', n.nspname, c.relname`,
  );
  const oids = rows.map(({ oid }) => Number(oid));
  const columns = await readColumns(client, oids, new Map(rows.map(({ oid, rows: count }) => [oid, count])));
  const unique = await uniqueColumns(client, oids);
  return rows.map(({ oid, ...table }) => ({ ...table, unique: primaryFirst(unique.get(Number(oid)) ?? [], table.primaryKey), columns: columns.get(oid) ?? [] }));
}

function primaryFirst(unique: readonly string[], primaryKey: readonly string[]): readonly string[] {
  return [...unique.filter((name) => primaryKey.includes(name)), ...unique.filter((name) => !primaryKey.includes(name))];
}

type ColumnRow = { readonly table: string; readonly name: string; readonly base: string; readonly kind: string; readonly type_name: string; readonly nullable: boolean; readonly generated: string; readonly indexed: boolean; readonly references: string | null };

async function readColumns(client: Client, oids: readonly number[], counts: ReadonlyMap<string, number | null>): Promise<Map<string, ColumnFacts[]>> {
  const { rows } = await client.query<ColumnRow>(
    `with recursive base as (
       select a.attrelid, a.attname, a.attnum, a.attnotnull, a.attgenerated, a.atttypid, a.atttypmod, a.atttypid as typid
         from pg_attribute a where a.attrelid = any($1::oid[]) and a.attnum > 0 and not a.attisdropped
       union all
       select b.attrelid, b.attname, b.attnum, b.attnotnull, b.attgenerated, b.atttypid, b.atttypmod, t.typbasetype
         from base b join pg_type t on t.oid = b.typid and t.typtype = 'd'
     )
     select b.attrelid::text as table, b.attname as name, t.typname as base, t.typtype::text as kind, format_type(b.atttypid, b.atttypmod) as type_name, not b.attnotnull as nullable, b.attgenerated::text as generated,
            exists (select from pg_index i where i.indrelid = b.attrelid and i.indisvalid and i.indpred is null and i.indkey[0] = b.attnum) as indexed,
            (select format('%I.%I', n.nspname, c.relname) from pg_constraint f join pg_class c on c.oid = f.confrelid join pg_namespace n on n.oid = c.relnamespace
              where f.conrelid = b.attrelid and f.contype = 'f' and f.conkey = array[b.attnum] limit 1) as references
       from base b join pg_type t on t.oid = b.typid where t.typtype <> 'd' order by b.attrelid, b.attnum`,
    [oids],
  );
  const distinct = await readDistinct(client, oids, counts);
  const columns = new Map<string, ColumnFacts[]>();
  for (const { table, name, base, kind, type_name, nullable, generated, indexed, references } of rows) {
    const column = { name, type: columnTypeOf(kind, base), typeName: type_name, isEnum: kind === 'e', nullable, generated: generated === 's' ? 'stored' : generated === 'v' ? 'virtual' : null, distinct: distinct.get(`${table} ${name}`) ?? null, indexed, references } as const;
    columns.set(table, [...(columns.get(table) ?? []), column]);
  }
  return columns;
}

/** ANALYZE's estimates; of a partitioned table without its own, those of its largest partition. */
async function readDistinct(client: Client, oids: readonly number[], counts: ReadonlyMap<string, number | null>): Promise<Map<string, number>> {
  const { rows } = await client.query<{ table: string; name: string; distinct: number; own: boolean; rows: number }>(
    `select root.oid::text as table, s.attname as name, s.n_distinct as distinct, part.oid = root.oid as own, part.reltuples as rows
       from unnest($1::oid[]) as root (oid) cross join lateral (select root.oid as relid union select relid from pg_partition_tree(root.oid)) tree
            join pg_class part on part.oid = tree.relid join pg_namespace n on n.oid = part.relnamespace
            join pg_stats s on s.schemaname = n.nspname and s.tablename = part.relname
      order by part.oid <> root.oid, s.inherited desc, part.reltuples desc`,
    [oids],
  );
  const found = new Map<string, number>();
  for (const { table, name, distinct, own, rows: partRows } of rows) {
    if (found.has(`${table} ${name}`)) continue;
    // below 0: as a share of the rows. https://www.postgresql.org/docs/18/view-pg-stats.html
    found.set(`${table} ${name}`, distinct >= 0 ? distinct : Math.round(-distinct * ((own ? counts.get(table) : partRows) ?? 0)));
  }
  return found;
}
