import type { ClickHouseClient } from '@clickhouse/client';
import { ConfigurationError } from '../sink.ts';
import { classified } from './errors.ts';
import { connect, thoroughMs } from './insert.ts';
import { columnType, columnsThere, quoted, tableName, type SinkTable } from './table.ts';

/** A column that becomes another one. */
type Alteration = { readonly column: string; readonly action: 'add' | 'modify' | 'drop'; readonly type: string };

/** What turns a table for the rows of `before` into one for those of `after`, as it would be typed. */
export function alterStatements(before: SinkTable, after: SinkTable): string[] {
  return alterations(before, after).map((alteration) => statement(after, alteration));
}

/**
 * Does it, where it is not done yet, and waits until the rows that are there have it too. Throws ConfigurationError, before
 * anything is changed, if some of them have values that the new type cannot hold.
 */
export async function reshapeTable(url: string, before: SinkTable, after: SinkTable): Promise<void> {
  const client = connect(url, thoroughMs);
  try {
    await classified(after.name, async () => {
      const there = await columnsThere(client, after);
      const open = alterations(before, after).filter(({ column, action, type }) => (action === 'drop' ? there.has(column) : there.get(column) !== type));
      for (const alteration of open) if (alteration.action === 'modify') await assertFits(client, after, alteration);
      for (const alteration of open) {
        await client.command({ query: statement(after, alteration), clickhouse_settings: { alter_sync: '2', mutations_sync: '2' } });
      }
    });
  } finally {
    await client.close();
  }
}

function alterations(before: SinkTable, after: SinkTable): Alteration[] {
  const names = new Set([...Object.keys(before.columns), ...Object.keys(after.columns)]);
  return [...names].flatMap((column): Alteration[] => {
    const [was, is] = [before.columns[column], after.columns[column]].map((schema) => schema && columnType(schema));
    if (was === is) return [];
    if (is === undefined) return [{ column, action: 'drop', type: was! }];
    return [{ column, action: was === undefined ? 'add' : 'modify', type: is }];
  });
}

function statement(table: SinkTable, { column, action, type }: Alteration): string {
  const what = { add: `ADD COLUMN IF NOT EXISTS ${quoted(column)} ${type}`, modify: `MODIFY COLUMN ${quoted(column)} ${type}`, drop: `DROP COLUMN IF EXISTS ${quoted(column)}` };
  return `ALTER TABLE ${tableName(table)} ${what[action]}`;
}

async function assertFits(client: ClickHouseClient, table: SinkTable, { column, type }: Alteration): Promise<void> {
  const result = await client.query({
    query: `SELECT count() AS count, any(toString(${quoted(column)})) AS example FROM ${tableName(table)} WHERE ${quoted(column)} IS NOT NULL AND accurateCastOrNull(${quoted(column)}, {type:String}) IS NULL`,
    query_params: { type: columnType({ ...table.columns[column]!, nullable: false, interned: false }) },
    format: 'JSONEachRow',
  });
  const [found] = await result.json<{ count: string; example: string | null }>();
  if (found && Number(found.count) > 0) {
    throw new ConfigurationError(`ClickHouse, table ${table.name}: ${found.count} rows have values of ${column} that ${type} cannot hold, such as ${JSON.stringify(found.example)}. Nothing was changed. Older versions of rows count as well, until they are merged away: OPTIMIZE TABLE ${tableName(table)} FINAL. Then approve again; or reject: then the column is NULL from there on.`);
  }
}
