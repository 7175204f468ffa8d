import type { Client } from 'pg';
import type { Table } from '../../core/pipeline.ts';
import { ConfigurationError } from '../sink.ts';

/**
 * The source must keep the key unique: of two rows with one key, sinks would have one. A partitioned table can only
 * promise it together with its partition columns, so there the definition is taken at its word for the rest.
 */
export async function assertRowKey(client: Client, tableOid: number, { relation, key }: Table): Promise<void> {
  const { rows } = await client.query<{ keeps: boolean }>(
    `select exists (
       select from pg_index i left join pg_partitioned_table p on p.partrelid = i.indrelid
        where i.indrelid = $1 and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
          and exists (select from pg_attribute a where a.attrelid = i.indrelid and a.attname = $2 and a.attnum = any(i.indkey[0:i.indnkeyatts - 1]))
          and not exists (select from unnest(i.indkey[0:i.indnkeyatts - 1]) as number (attnum) join pg_attribute a on a.attrelid = i.indrelid and a.attnum = number.attnum
                           where a.attname <> $2 and not (a.attnum = any(coalesce(p.partattrs::int2[], '{}'))))) as keeps`,
    [tableOid, key],
  );
  if (rows[0]!.keeps) return;
  throw new ConfigurationError(
    `Table ${relation} has no primary key or unique index on ${key} alone, which the definition calls its key: two rows with one ${key} would be one row in every sink. Type in the source: ALTER TABLE ${relation} ADD PRIMARY KEY (${key}); or name another key in the definition.`,
  );
}
