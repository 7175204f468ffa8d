import type { Client } from 'pg';
import type { Config } from '../core/config.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { paneSetsOf } from '../core/views/pane-sets.ts';
import { openStores } from './stores.ts';

export type Check = { readonly sink: string; readonly what: string; readonly expected: string; readonly actual: string; readonly equal: boolean };

/**
 * Compares every sink with SQL over the source, by means of its own. The pipeline is paused: nothing moves meanwhile.
 * For the sample pipeline engagement and its variants, when there were only inserts; `posting`: how many of them post to
 * the receiver.
 */
export async function checkExactness(config: Config, pipeline: Pipeline, posting: number): Promise<Check[]> {
  await using stores = await openStores(config);
  const { source, state, redis, clickhouse } = stores;
  return [await clickhouseRows(), await panes(), await liveScores(), ...(await received())];

  async function clickhouseRows(): Promise<Check> {
    const { table } = Object.values(pipeline.sinks).find((sink) => sink.kind === 'clickhouse')!;
    const expected = await text(source, `select concat_ws(' ', count(*), coalesce(sum(e.id), 0), coalesce(sum(duration_ms), 0), count(c.title)) as text
      from public.engagement_events e left join public.content c on c.id = e.content_id`);
    const result = await clickhouse.query({
      query: `SELECT concat(toString(count()), ' ', toString(sum(id)), ' ', toString(ifNull(sum(duration_ms), 0)), ' ', toString(count(title))) AS text FROM ${table} FINAL`,
      format: 'JSONEachRow',
    });
    const [row] = await result.json<{ text: string }>();
    return check('clickhouse', 'rows, sum of ids, sum of durations, titles', expected, row!.text);
  }

  /** Panes and late deltas together, per key and pane. */
  async function panes(): Promise<Check> {
    const [set] = paneSetsOf(pipeline);
    const expected = await text(source, `select ${digest} as text from (
      select floor(extract(epoch from event_ts) * 1000 / ${set!.paneMs})::bigint * ${set!.paneMs} as pane, content_id::text as key,
        count(*) filter (where event_type = 'play') as plays, count(*) filter (where event_type = 'finish') as finishes,
        count(*) filter (where event_type = 'click') as clicks, coalesce(sum(duration_ms), 0)::bigint as seconds
      from public.engagement_events where content_id is not null group by 1, 2) as panes where ${notEmpty}`);
    const place = (name: string) => set!.accumulators.findIndex((each) => each.name === name) + 1;
    const actual = await text(state, `select ${digest} as text from (
      select pane, key, sum(plays) as plays, sum(finishes) as finishes, sum(clicks) as clicks, sum(seconds) as seconds from (
        select pane_ms as pane, key, plays, finishes, clicks, seconds from sluice.panes_${pipeline.name}_${set!.name}
        union all
        select pane_ms, key, ${['plays', 'finishes', 'clicks', 'seconds'].map((name) => `deltas[${place(name)}]`).join(', ')}
          from sluice.late where pipeline = '${pipeline.name}' and pane_set = '${set!.name}') as both_parts
      group by 1, 2) as panes where ${notEmpty}`);
    return check('state', 'panes, their plays, finishes, clicks, milliseconds, checksum', expected, actual);
  }

  /** The rolling window that ends where the structure says it does. */
  async function liveScores(): Promise<Check> {
    const live = Object.values(pipeline.sinks).find((sink) => sink.kind === 'redis-live')!;
    const { sizeMs, everyMs } = pipeline.views[live.view]!.window;
    const [[, end], [, scores]] = (await redis.multi().get(`{${live.key}}:end`).zrange(live.key, '0', '-1', 'WITHSCORES').exec()) as [[null, string | null], [null, string[]]];
    const newest = Math.floor(Number(end ?? 0) / 1000 / everyMs) * everyMs;
    const { rows } = await source.query<{ key: string; score: string }>(
      `select content_id::text as key, sum(case event_type when 'play' then 10 when 'finish' then 10 when 'click' then 2 else 0 end)::text as score
         from public.engagement_events
        where event_ts >= to_timestamp($1::float8 / 1000) and event_ts < to_timestamp($2::float8 / 1000) and content_id is not null group by 1 having sum(case event_type when 'pause' then 0 else 1 end) > 0`,
      [newest - sizeMs + everyMs, newest + everyMs],
    );
    const expected = rows.map(({ key, score }) => `${key}=${score}`).sort();
    const actual = scores.flatMap((member, index) => (index % 2 === 0 ? [`${member}=${Math.round(Number(scores[index + 1]) * 10)}`] : [])).sort();
    const total = (list: readonly string[]) => list.reduce((sum, entry) => sum + Number(entry.split('=')[1]), 0);
    return { ...check('redis', 'members and tenths of all scores', `${expected.length} ${total(expected)}`, `${actual.length} ${total(actual)}`), equal: expected.join() === actual.join() };
  }

  async function received(): Promise<Check[]> {
    const response = await fetch(`http://127.0.0.1:${config.receiverPort}/counts`);
    if (!response.ok) return [check('http', 'events', 'an answer', `GET /counts answered ${response.status}`)];
    const { events } = (await response.json()) as { events: number };
    // the benchmark only inserts, and messages that came again are counted once
    return [check('http', 'events', await text(source, `select (count(*) * ${posting})::text as text from public.engagement_events`), String(events))];
  }
}

const digest = `concat_ws(' ', count(*), sum(plays), sum(finishes), sum(clicks), sum(seconds),
  sum(('x' || substr(md5(concat_ws(',', pane, key, plays, finishes, clicks, seconds)), 1, 12))::bit(48)::bigint))`;
const notEmpty = '(plays, finishes, clicks, seconds) <> (0, 0, 0, 0)';

/** The column `text` of the only row. */
export async function text(client: Client, query: string): Promise<string> {
  const { rows } = await client.query<{ text: string }>(query);
  return rows[0]!.text;
}

function check(sink: string, what: string, expected: string, actual: string): Check {
  return { sink, what, expected, actual, equal: expected === actual };
}
