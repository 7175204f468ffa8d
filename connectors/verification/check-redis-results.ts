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

/** What is shown was read when the relay was at another place than what it is compared with. */
export class RelayElsewhere extends Error {}

/** The newest published window in Redis: which it is, its ranks, and its labels. `at`: throws RelayElsewhere unless they are those of this fence. */
export async function checkRedisResults(database: Client, pipeline: Pipeline, sink: string, { view, key }: Definition, url: string, aggregate: AggregateNow, loadedAt: Position, signal: AbortSignal, at?: number): Promise<Check[]> {
  const redis = connectRedis(url);
  try {
    const prefix = /\{[^}]+\}/.test(key) ? key : `{${key}}`;
    const labels = Object.keys(pipeline.views[view]!.labels);
    const columns: readonly ComparedColumn[] = [{ name: 'key', type: 'text collate "C"' }, { name: 'score', type: 'float8' }, ...labels.map((name) => ({ name, type: 'text collate "C"' }))];
    await readPublishedRows(database, pipeline.name, view);
    const { fence, window: shownWindow, members: shownMembers } = await readShown(redis, key, prefix, labels);
    if (at !== undefined && fence !== at) throw new RelayElsewhere();
    await tableOfRows(database, 'shown window', windowColumns, shownWindow, signal);
    await tableOfRows(database, 'shown members', columns, shownMembers, signal);
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
       select window_end_ms, key, ${quote(measureColumn(by))}::float8 as score from pg_temp.${quote(windowsTable(view))} where window_end_ms = (select end_ms from pg_temp."newest window") and ${quote(measureColumn(by))} is not null
       union all
       select window_end_ms, key, (measures ->> ${quoted(by)})::float8 from pg_temp.${quote(publishedTable(view))}
        where window_end_ms = (select end_ms from pg_temp."newest window") and measures ->> ${quoted(by)} is not null and not (${comparableEnds(pipeline, view, aggregate)})`,
  );
}

/** All as of one moment. */
async function readShown(redis: Redis, key: string, prefix: string, labels: readonly string[]): Promise<{ fence: number; window: Texts[]; members: Texts[] }> {
  const answers = await redis.multi().get(`${prefix}:fence`).hmget(`${prefix}:window`, 'start_ms', 'end_ms', 'revision', 'final').zrange(key, 0, '-1', 'WITHSCORES').hgetall(`${prefix}:labels`).exec();
  const failure = answers!.find(([error]) => error !== null)?.[0];
  if (failure) throw failure;
  const [fence, [start, end, revision, final], flat, texts] = answers!.map(([, answer]) => answer) as [string | null, (string | null)[], string[], Record<string, string>];
  const ranks = Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index]!, flat[2 * index + 1]!] as const);
  return {
    fence: Number(fence ?? 0),
    window: end == null ? [] : [['newest', start ?? null, end, revision ?? null, final ?? null]],
    members: ranks.map(([member, score]) => {
      const shown = JSON.parse(texts[member] ?? '{}') as Record<string, string | null>;
      return [member, score, ...labels.map((name) => shown[name] ?? null)];
    }),
  };
}

type Texts = (string | null)[];
