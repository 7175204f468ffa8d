import type { ClickHouseClient } from '@clickhouse/client';
import { classified } from './errors.ts';
import { connect, promptMs, thoroughMs } from './insert.ts';
import { identity, isOurs, selectOf, tableName } from './table.ts';

/** `rows`: with versions and tombstones that no merge has taken yet. `stays`: why it is not to be dropped. */
export type FoundTable = { readonly rows: number; readonly identity: string; readonly stays: string | undefined };

/** Undefined: there is no such table. */
export function lookAtTable(url: string, pipeline: string, table: string): Promise<FoundTable | undefined> {
  return connected(url, promptMs, table, (client) => find(client, pipeline, table));
}

/**
 * The table, and the lane's fences for it and for others that are not there any more: not those for one that was made since.
 * `assertCurrent`: asked before anything goes; throws if it is not to go any more. Returns what was there.
 */
export function dropTable(url: string, lane: { readonly pipeline: string; readonly lane: string }, table: string, assertCurrent: () => Promise<void>): Promise<FoundTable | undefined> {
  return connected(url, thoroughMs, table, async (client) => {
    const found = await find(client, lane.pipeline, table);
    await assertCurrent();
    if (found?.stays === undefined) await client.command({ query: `DROP TABLE IF EXISTS ${tableName({ name: table })} SYNC` });
    if (!(await hasFences(client))) return found;
    const targets = await targetsToForget(client, lane, found?.identity ?? '');
    await assertCurrent();
    await client.command({
      query: `ALTER TABLE sluice_fence DELETE WHERE ${ofLane} AND has({targets:Array(String)}, target)`,
      query_params: { ...lane, targets },
      clickhouse_settings: { mutations_sync: '2' },
    });
    return found;
  });
}

/** A backfill's marks are there under the lane's name and more. */
const ofLane = "pipeline = {pipeline:String} AND (lane = {lane:String} OR startsWith(lane, concat({lane:String}, ' ')))";

/** By name, as the next table that is made has another identity, whenever that is. */
async function targetsToForget(client: ClickHouseClient, lane: { readonly pipeline: string; readonly lane: string }, dropped: string): Promise<readonly string[]> {
  const answer = await client.query({
    query: `SELECT DISTINCT target FROM sluice_fence WHERE ${ofLane} AND (target = {dropped:String} OR target NOT IN (SELECT ${identity} FROM system.tables))`,
    query_params: { ...lane, dropped },
    format: 'JSONEachRow',
  });
  return (await answer.json<{ target: string }>()).map(({ target }) => target);
}

async function find(client: ClickHouseClient, pipeline: string, table: string): Promise<FoundTable | undefined> {
  const name = { name: table };
  const [row] = await selectOf<{ rows: string | null; identity: string; engine_full: string }>(client, name, `SELECT toString(total_rows) AS rows, ${identity} AS identity, engine_full FROM system.tables WHERE name = {table:String}`);
  if (!row) return undefined;
  const found = { rows: Number(row.rows ?? 0), identity: row.identity };
  if (!isOurs(row)) return { ...found, stays: `it is ${row.engine_full.split(' ')[0]}, which Sluice did not make` };
  const other = (await hasFences(client)) ? await otherPipeline(client, pipeline, row.identity) : undefined;
  return { ...found, stays: other === undefined ? undefined : `pipeline ${other} has a fence for it` };
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
