import type { Redis } from 'ioredis';
import type { Client } from 'pg';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { Check } from '../../core/verification.ts';
import { quote } from '../postgres/source-catalog.ts';
import { connectRedis } from '../redis/client.ts';
import type { ComparedColumn } from './columns.ts';
import { quoted } from './columns.ts';
import { compare } from './compare.ts';
import { labelSql, publishedTable, readPublishedRows } from './published-rows.ts';
import type { AggregateNow } from './windows.ts';
import { comparableEnds, measureColumn, windowsTable } from './windows.ts';
import { tableOfRows } from './working-database.ts';

type Definition = Extract<SinkDefinition, { kind: 'redis-results' }>;

/** The newest published window in Redis: which it is, its ranks, and its labels. */
export async function checkRedisResults(database: Client, pipeline: Pipeline, sink: string, { view, key }: Definition, url: string, aggregate: AggregateNow, loadedAt: Position, signal: AbortSignal): Promise<Check[]> {
  const redis = connectRedis(url);
  try {
    const prefix = /\{[^}]+\}/.test(key) ? key : `{${key}}`;
    const labels = Object.keys(pipeline.views[view]!.labels);
    const columns: readonly ComparedColumn[] = [{ name: 'key', type: 'text collate "C"' }, { name: 'score', type: 'float8' }, ...labels.map((name) => ({ name, type: 'text collate "C"' }))];
    await readPublishedRows(database, pipeline.name, view);
    await tableOfRows(database, 'shown window', windowColumns, await windowShown(redis, prefix), signal);
    await tableOfRows(database, 'shown members', columns, await membersShown(redis, key, prefix, labels), signal);
    await makeExpectedMembers(database, pipeline, view, aggregate);
    const names = labels.map((name) => `${labelSql(pipeline, view, name, { key: 'member.key', said: 'said.key is not null', published: `said.labels ->> ${quoted(name)}`, shown: `shown.${quote(name)}` }, loadedAt)} as ${quote(name)}`);
    const window = await compare(database, {
      sink,
      what: `newest window in ${key}`,
      columns: windowColumns,
      keys: 1,
      expected: `select 'newest' as window, end_ms - ${pipeline.views[view]!.window.sizeMs} as start_ms, end_ms, revision, final from pg_temp."newest window"`,
      actual: 'select * from pg_temp."shown window"',
    });
    const members = await compare(database, {
      sink,
      what: `ranks in ${key}`,
      columns,
      keys: 1,
      expected: `select member.key, member.score${names.map((name) => `, ${name}`).join('')} from pg_temp."newest members" member
        left join pg_temp.${quote(publishedTable(view))} said on said.window_end_ms = member.window_end_ms and said.key = member.key
        left join pg_temp."shown members" shown on shown.key = member.key`,
      actual: 'select * from pg_temp."shown members"',
    });
    await database.query('drop table pg_temp."newest window"; drop table pg_temp."newest members"');
    return [window, members];
  } finally {
    redis.disconnect();
  }
}

const windowColumns: readonly ComparedColumn[] = [
  { name: 'window', type: 'text collate "C"' },
  { name: 'start_ms', type: 'bigint' },
  { name: 'end_ms', type: 'bigint' },
  { name: 'revision', type: 'int' },
  { name: 'final', type: 'boolean' },
];

/** The newest window that was published since the table was last truncated. What it holds: see windows.ts; while it awaits a revision, what was said. */
async function makeExpectedMembers(database: Client, pipeline: Pipeline, view: string, aggregate: AggregateNow): Promise<void> {
  const of = `pipeline = ${quoted(pipeline.name)} and view = ${quoted(view)}`;
  const { by } = pipeline.views[view]!.rank;
  await database.query(
    `create temporary table "newest window" as
       select window_end_ms as end_ms, revision, final from sluice.published_window
        where ${of} and window_end_ms = (select max((message ->> 'windowEndMs')::bigint) from sluice.outbox
          where ${of} and seq > (select coalesce(max(seq), 0) from sluice.outbox where ${of} and message ? 'truncated'))`,
  );
  await database.query(
    `create temporary table "newest members" as
       select window_end_ms, key, ${quote(measureColumn(by))}::float8 as score from pg_temp.${quote(windowsTable(view))} where window_end_ms = (select end_ms from pg_temp."newest window")
       union all
       select window_end_ms, key, (measures ->> ${quoted(by)})::float8 from pg_temp.${quote(publishedTable(view))}
        where window_end_ms = (select end_ms from pg_temp."newest window") and not (${comparableEnds(pipeline, view, aggregate)})`,
  );
}

async function windowShown(redis: Redis, prefix: string): Promise<(string | null)[][]> {
  const [start, end, revision, final] = await redis.hmget(`${prefix}:window`, 'start_ms', 'end_ms', 'revision', 'final');
  return end == null ? [] : [['newest', start ?? null, end, revision ?? null, final ?? null]];
}

async function membersShown(redis: Redis, key: string, prefix: string, labels: readonly string[]): Promise<(string | null)[][]> {
  const flat = await redis.zrange(key, 0, '-1', 'WITHSCORES');
  const texts = await redis.hgetall(`${prefix}:labels`);
  const members = Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index]!, flat[2 * index + 1]!] as const);
  return members.map(([member, score]) => {
    const shown = JSON.parse(texts[member] ?? '{}') as Record<string, string | null>;
    return [member, score, ...labels.map((name) => shown[name] ?? null)];
  });
}
