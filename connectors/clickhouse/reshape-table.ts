import type { ClickHouseClient } from '@clickhouse/client';
import { ConfigurationError } from '../sink.ts';
import { classified } from './errors.ts';
import { connect, thoroughMs } from './insert.ts';
import { columnType, columnsThere, quoted, tableName, type SinkTable } from './table.ts';

/** A column that becomes another one. */
type Alteration = { readonly column: string; readonly action: 'add' | 'modify' | 'drop'; readonly type: string };

/** What turns a table for the rows of `before` into one for those of `after`, as it would be typed. */
export function alterStatements(before: SinkTable, after: SinkTable): string[] {
  return changing([before, after]).flatMap((column): string[] => {
    const [was, is] = [typeIn(before, column), typeIn(after, column)];
    if (is === undefined) return [statement(after, { column, action: 'drop', type: was! })];
    return [statement(after, { column, action: was === undefined ? 'add' : 'modify', type: is })];
  });
}

/**
 * Gives the table what rows of `after` need, where it has not got it yet, and waits until the rows that are there have it
 * too. `forms`: those that the table may be of, also in part: as it was, and as each decision makes it. What the rows of
 * another form need stays. Throws ConfigurationError, before anything is changed, if some of them have values that the new
 * type cannot hold; `otherwise`: what to do then.
 */
export function reshapeTable(url: string, forms: readonly SinkTable[], after: SinkTable, otherwise = 'Then approve again; or reject: then the column is NULL from there on.'): Promise<void> {
  return altered(url, after, async (client, there) => {
    const open = changing([...forms, after]).flatMap((column): Alteration[] => {
      const [schema, was] = [after.columns[column], there.get(column)];
      if (schema === undefined) return [];
      // rows of a time without it have NULL
      const type = columnType({ ...schema, nullable: schema.nullable || was?.includes('Nullable(') === true });
      return was === type ? [] : [{ column, action: was === undefined ? 'add' : 'modify', type }];
    });
    for (const alteration of open) if (alteration.action === 'modify') await assertFits(client, after, alteration, otherwise);
    return open;
  });
}

/** Takes away what no row of `after` has; only when no lane writes rows of another form any more. */
export function dropColumns(url: string, forms: readonly SinkTable[], after: SinkTable): Promise<void> {
  return altered(url, after, async (_, there) => changing([...forms, after]).flatMap((column): Alteration[] => (typeIn(after, column) === undefined && there.has(column) ? [{ column, action: 'drop', type: there.get(column)! }] : [])));
}

async function altered(url: string, table: SinkTable, choose: (client: ClickHouseClient, there: ReadonlyMap<string, string>) => Promise<readonly Alteration[]>): Promise<void> {
  const client = connect(url, thoroughMs);
  try {
    await classified(table.name, async () => {
      const there = await columnsThere(client, table);
      // one that was dropped is made as it is to be by whoever opens it next
      if (there.size === 0) return;
      for (const alteration of await choose(client, there)) {
        await client.command({ query: statement(table, alteration), clickhouse_settings: { alter_sync: '2', mutations_sync: '2' } });
      }
    });
  } finally {
    await client.close();
  }
}

/** Columns that are not the same in all of these. */
function changing(forms: readonly SinkTable[]): string[] {
  const names = new Set(forms.flatMap(({ columns }) => Object.keys(columns)));
  return [...names].filter((column) => new Set(forms.map((form) => typeIn(form, column))).size > 1);
}

function typeIn({ columns }: SinkTable, column: string): string | undefined {
  return columns[column] && columnType(columns[column]);
}

function statement(table: SinkTable, { column, action, type }: Alteration): string {
  const what = { add: `ADD COLUMN IF NOT EXISTS ${quoted(column)} ${type}`, modify: `MODIFY COLUMN ${quoted(column)} ${type}`, drop: `DROP COLUMN IF EXISTS ${quoted(column)}` };
  return `ALTER TABLE ${tableName(table)} ${what[action]}`;
}

async function assertFits(client: ClickHouseClient, table: SinkTable, { column, type }: Alteration, otherwise: string): Promise<void> {
  const result = await client.query({
    query: `SELECT count() AS count, any(toString(${quoted(column)})) AS example FROM ${tableName(table)} WHERE ${quoted(column)} IS NOT NULL AND accurateCastOrNull(${quoted(column)}, {type:String}) IS NULL`,
    query_params: { type: columnType({ ...table.columns[column]!, nullable: false, interned: false }) },
    format: 'JSONEachRow',
  });
  const [found] = await result.json<{ count: string; example: string | null }>();
  if (found && Number(found.count) > 0) {
    throw new ConfigurationError(`ClickHouse, table ${table.name}: ${found.count} rows have values of ${column} that ${type} cannot hold, such as ${JSON.stringify(found.example)}. Nothing was changed. Older versions of rows count as well, until they are merged away: OPTIMIZE TABLE ${tableName(table)} FINAL. ${otherwise}`);
  }
}
