import type { ClickHouseClient } from '@clickhouse/client';
import { classified } from './errors.ts';
import { connect, promptMs, thoroughMs } from './insert.ts';
import { identity, isOurs, selectOf, tableName } from './table.ts';

/** `rows`: with versions and tombstones that no merge has taken yet. `stays`: why it is not to be dropped. */
export type FoundTable = { readonly rows: number; readonly stays: string | undefined };

/** Undefined: there is no such table. */
export function lookAtTable(url: string, pipeline: string, table: string): Promise<FoundTable | undefined> {
  return connected(url, promptMs, table, (client) => find(client, pipeline, table));
}

/** The table, and the fences of the pipeline's lane, but those of another table that it writes to by now. Returns what was there. */
export function dropTable(url: string, { pipeline, lane }: { readonly pipeline: string; readonly lane: string }, table: string): Promise<FoundTable | undefined> {
  return connected(url, thoroughMs, table, async (client) => {
    const found = await find(client, pipeline, table);
    if (found?.stays === undefined) await client.command({ query: `DROP TABLE IF EXISTS ${tableName({ name: table })} SYNC` });
    if (!(await hasFences(client))) return found;
    await client.command({
      query: `ALTER TABLE sluice_fence DELETE WHERE ${ofLane} AND NOT has({others:Array(String)}, target)`,
      query_params: { pipeline, lane, others: await otherTargets(client, { pipeline, lane }, table) },
      clickhouse_settings: { mutations_sync: '2' },
    });
    return found;
  });
}

/** A backfill's marks are there under the lane's name and more. */
const ofLane = "pipeline = {pipeline:String} AND (lane = {lane:String} OR startsWith(lane, concat({lane:String}, ' ')))";

/** Other tables that are there, of which the lane has fences. */
async function otherTargets(client: ClickHouseClient, of: { readonly pipeline: string; readonly lane: string }, table: string): Promise<readonly string[]> {
  const [own] = await selectOf<{ identity: string }>(client, { name: table }, `SELECT ${identity} AS identity FROM system.tables WHERE name = {table:String}`);
  const answer = await client.query({
    query: `SELECT DISTINCT target FROM sluice_fence WHERE ${ofLane} AND target != {own:String} AND target IN (SELECT ${identity} FROM system.tables)`,
    query_params: { ...of, own: own?.identity ?? '' },
    format: 'JSONEachRow',
  });
  return (await answer.json<{ target: string }>()).map(({ target }) => target);
}

async function find(client: ClickHouseClient, pipeline: string, table: string): Promise<FoundTable | undefined> {
  const name = { name: table };
  const [row] = await selectOf<{ rows: string | null; identity: string; engine_full: string }>(client, name, `SELECT toString(total_rows) AS rows, ${identity} AS identity, engine_full FROM system.tables WHERE name = {table:String}`);
  if (!row) return undefined;
  const rows = Number(row.rows ?? 0);
  if (!isOurs(row)) return { rows, stays: `it is ${row.engine_full.split(' ')[0]}, which Sluice did not make` };
  const other = (await hasFences(client)) ? await otherPipeline(client, pipeline, row.identity) : undefined;
  return { rows, stays: other === undefined ? undefined : `pipeline ${other} has a fence for it` };
}

async function hasFences(client: ClickHouseClient): Promise<boolean> {
  return (await selectOf(client, { name: 'sluice_fence' }, 'SELECT 1 FROM system.tables WHERE name = {table:String}')).length > 0;
}

/** Perhaps of another instance. */
async function otherPipeline(client: ClickHouseClient, pipeline: string, target: string): Promise<string | undefined> {
  const answer = await client.query({ query: 'SELECT pipeline FROM sluice_fence WHERE target = {target:String} AND pipeline != {pipeline:String} LIMIT 1', query_params: { target, pipeline }, format: 'JSONEachRow' });
  const [row] = await answer.json<{ pipeline: string }>();
  return row?.pipeline;
}

function connected<T>(url: string, requestMs: number, table: string, work: (client: ClickHouseClient) => Promise<T>): Promise<T> {
  return classified(table, async () => {
    const client = connect(url, requestMs);
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  });
}
