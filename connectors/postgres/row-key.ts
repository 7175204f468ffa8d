import type { Client } from 'pg';
import { nameInSource, type Table } from '../../core/pipeline.ts';
import { ConfigurationError } from '../sink.ts';

/**
 * The source must keep the key unique: of two rows with one key, sinks would have one. A partitioned table can only
 * promise it together with its partition columns, so there the definition is taken at its word for the rest.
 */
export async function assertRowKey(client: Client, tableOid: number, table: Table): Promise<void> {
  const { relation } = table;
  const key = nameInSource(table, table.key)!;
  if ((await uniqueColumns(client, [tableOid])).get(tableOid)?.includes(key)) return;
  throw new ConfigurationError(
    `Table ${relation} has no primary key or unique index on ${key} alone, which the definition calls its key: two rows with one ${key} would be one row in every sink.`,
    { mend: { type: `ALTER TABLE ${relation} ADD PRIMARY KEY (${key});`, otherwise: ' or name another key in the definition.' } },
  );
}

/** By table, the columns that can be a key: what assertRowKey allows. */
export async function uniqueColumns(client: Client, tableOids: readonly number[]): Promise<ReadonlyMap<number, readonly string[]>> {
  const { rows } = await client.query<{ table: string; columns: string[] }>(
    `select i.indrelid::text as table, array_agg(distinct a.attname::text order by a.attname::text) as columns
       from pg_index i left join pg_partitioned_table p on p.partrelid = i.indrelid
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey[0:i.indnkeyatts - 1])
      where i.indrelid = any($1::oid[]) and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
        and not exists (select from unnest(i.indkey[0:i.indnkeyatts - 1]) as number (attnum) join pg_attribute other on other.attrelid = i.indrelid and other.attnum = number.attnum
                         where other.attname <> a.attname and not (other.attnum = any(coalesce(p.partattrs::int2[], '{}'))))
      group by i.indrelid`,
    [tableOids],
  );
  return new Map(rows.map(({ table, columns }) => [Number(table), columns]));
}
