import type { Redis } from 'ioredis';
import type { Client } from 'pg';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { PaneSet, PaneView } from '../../core/views/panes.ts';
import type { Check } from '../../core/verification.ts';
import { connectRedis } from '../redis/client.ts';
import { quote } from '../postgres/source-catalog.ts';
import type { ComparedColumn } from './columns.ts';
import { quoted } from './columns.ts';
import { compare } from './compare.ts';
import { membersWithoutLetters } from './dead-letters.ts';
import { NotComparable } from './not-comparable.ts';
import { measureSql, notAllZero, paneOf, sourcePanes } from './pane-sql.ts';
import { viewOf } from './windows.ts';
import { tableOfRows } from './working-database.ts';

type Definition = Extract<SinkDefinition, { kind: 'redis-live' }>;

/** A live structure as it is at its own `end`: the whole ZSET, and the hash of each member. */
export async function checkLive(database: Client, pipeline: Pipeline, sink: string, definition: Definition, url: string, at: Position, signal: AbortSignal): Promise<Check[]> {
  const redis = connectRedis(url);
  try {
    const { set, paneView: view } = viewOf(pipeline, definition.view);
    const prefix = /\{[^}]+\}/.test(definition.key) ? definition.key : `{${definition.key}}`;
    const hashPrefix = `${prefix}:${set.key.replace(/_id$/, '')}:`;
    const endUs = await readEnd(redis, definition.key, prefix, at);
    await tableOfRows(database, 'live members', memberColumns, members(redis, definition.key), signal);
    const fields = Object.keys(definition.hash);
    const columns: readonly ComparedColumn[] = [key, ...fields.map((name) => ({ name, type: 'numeric' }))];
    await tableOfRows(database, 'live hashes', columns, hashes(redis, hashPrefix, fields), signal);
    await readEnd(redis, definition.key, prefix, at);
    await makeExpected(database, pipeline, set, view, definition, endUs);
    const names = columns.map(({ name }) => quote(name)).join(', ');
    const compared = membersWithoutLetters(sink, set.key);
    const scores = await compare(database, {
      sink,
      what: `scores of ${definition.key}`,
      columns: memberColumns,
      keys: 1,
      expected: `select key, score from pg_temp."live expected" where ${compared}`,
      actual: `select key, score from pg_temp."live members" where ${compared}`,
    });
    if (fields.length === 0) return [scores];
    const values = await compare(database, { sink, what: `hashes ${hashPrefix}*`, columns, keys: 1, expected: `select ${names} from pg_temp."live expected" where ${compared}`, actual: `select ${names} from pg_temp."live hashes" where ${compared}` });
    return [scores, values];
  } finally {
    redis.disconnect();
    await database.query('drop table if exists pg_temp."live expected"').catch(() => {});
  }
}

const key: ComparedColumn = { name: 'key', type: 'text collate "C"' };
/** A score is the double that is nearest to its decimal. */
const memberColumns: readonly ComparedColumn[] = [key, { name: 'score', type: 'float8' }];

/** Microseconds since 1970; undefined: no event came yet. Throws NotComparable unless the structure is at the position. */
async function readEnd(redis: Redis, name: string, prefix: string, at: Position): Promise<string | undefined> {
  const [fence, end] = await redis.mget(`${prefix}:fence`, `${prefix}:end`);
  if (fence !== at) throw new NotComparable(`Redis, key ${name}: its fence is ${fence ?? 'missing'}, and the lane is held at ${at}. Somebody else writes there, or it was emptied. Run verify again.`);
  return end ?? undefined;
}

async function* members(redis: Redis, name: string): AsyncGenerator<readonly string[]> {
  const kind = await redis.type(name);
  if (kind !== 'zset' && kind !== 'none') throw new NotComparable(`Redis, key ${name}: it is a ${kind}, not a sorted set. Somebody else uses that key: choose another in the definition, or DEL it.`);
  for (let start = 0; ; start += membersAtOnce) {
    const flat = await redis.zrange(name, start, String(start + membersAtOnce - 1), 'WITHSCORES');
    for (let at = 0; at < flat.length; at += 2) yield [flat[at]!, flat[at + 1]!];
    if (flat.length < 2 * membersAtOnce) return;
  }
}

const membersAtOnce = 10_000;

async function* hashes(redis: Redis, prefix: string, fields: readonly string[]): AsyncGenerator<readonly (string | null)[]> {
  if (fields.length === 0) return;
  const seen = new Set<string>();
  for await (const keys of redis.scanStream({ match: `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`, count: 1_000 })) {
    for (const each of keys as string[]) {
      if (seen.has(each)) continue;
      seen.add(each);
      yield [each.slice(prefix.length), ...(await redis.hmget(each, ...fields))];
    }
  }
}

/** Panes with start in (floor(end) - size, floor(end)], without what is set aside as future (E11, E13). */
async function makeExpected(database: Client, pipeline: Pipeline, set: PaneSet, view: PaneView, definition: Definition, endUs: string | undefined): Promise<void> {
  const names = [view.rankBy, ...Object.values(definition.hash)];
  const places = [...new Set(names.flatMap((name) => view.measures[name]!.accumulators))];
  const parts = places.map((place) => `a${place}`).join(', ');
  const future = places.map((place) => `-deltas[${place + 1}]::numeric`).join(', ');
  const sums = places.map((place) => `sum(a${place}) as a${place}`).join(', ');
  const newest = endUs === undefined ? 'null::bigint' : paneOf(`${quoted(endUs)}::numeric`, set.paneMs);
  const values = Object.entries(definition.hash).map(([field, measure]) => `, ${measureSql(view, measure)} as ${quote(field)}`);
  await database.query(
    `create temporary table "live expected" as select * from (
       select key collate "C" as key, ${measureSql(view, view.rankBy)}::float8 as score ${values.join('')} from (
         select key, ${sums} from (
           select pane_ms, key, ${parts} from ${sourcePanes(set)}
           union all select pane_ms, key, ${future} from sluice.late where pipeline = ${quoted(pipeline.name)} and pane_set = ${quoted(set.name)} and reason = 'future'
         ) panes where pane_ms <= ${newest} and pane_ms > ${newest} - ${view.window.sizeMs} group by key
       ) totals where ${notAllZero(places)}
     ) members where score <> 0`,
  );
}
