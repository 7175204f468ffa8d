import type { Config } from '../core/config.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { paneSetsOf } from '../core/views/pane-sets.ts';
import { type Check, text } from './exactness.ts';
import { openStores } from './stores.ts';

/**
 * Sums and checksums of every sink of the pipeline `keys`, beside the same over the source. It is paused. `verify` compares
 * row by row, and holds a pipeline no longer than ten minutes: ten million keys take longer.
 */
export async function checkKeys(config: Config, pipeline: Pipeline): Promise<Check[]> {
  await using stores = await openStores(config);
  const { source, state, redis, clickhouse } = stores;
  return [await rows(), await panes(), await live(), await received()];

  async function rows(): Promise<Check> {
    const expected = await text(source, "select concat_ws(' ', count(*), sum(id), sum(item_id), sum(amount)) as text from public.bench_keys");
    const result = await clickhouse.query({ query: "SELECT concat(toString(count()), ' ', toString(sum(id)), ' ', toString(sum(item_id)), ' ', toString(sum(amount))) AS text FROM bench_keys FINAL", format: 'JSONEachRow' });
    return check('clickhouse', 'rows, sums of ids, keys and amounts', expected, (await result.json<{ text: string }>())[0]!.text);
  }

  async function panes(): Promise<Check> {
    const [set] = paneSetsOf(pipeline);
    const [events, amounts] = set!.accumulators.map(({ name }) => name);
    const digest = "concat_ws(' ', count(*), sum(events), sum(amounts), sum(hashtextextended(concat_ws(',', pane, key, events, amounts), 0)::numeric))";
    const expected = await text(source, `select ${digest} as text from (select floor(extract(epoch from event_ts) * 1000 / ${set!.paneMs})::bigint * ${set!.paneMs} as pane, item_id::text as key, count(*) as events, sum(amount) as amounts from public.bench_keys group by 1, 2) panes`);
    const actual = await text(state, `select ${digest} as text from (select pane_ms as pane, key, ${events} as events, ${amounts} as amounts from sluice.panes_${pipeline.name}_${set!.name}) panes`);
    return check('state', 'panes, their events, amounts and checksum', expected, actual);
  }

  /** The window that ends where the structure says it does; a score of 0 is no member. */
  async function live(): Promise<Check> {
    const { sizeMs, everyMs } = pipeline.views['recent']!.window;
    const end = await redis.get('{keys:live}:end');
    const newest = Math.floor(Number(end ?? 0) / 1000 / everyMs) * everyMs;
    const expected = await text(source, `select concat_ws(' ', count(*), coalesce(sum(score), 0)) as text from (select sum(amount) as score from public.bench_keys where event_ts >= to_timestamp(${(newest - sizeMs + everyMs) / 1000}) and event_ts < to_timestamp(${(newest + everyMs) / 1000}) group by item_id) scores where score <> 0`);
    let sum = 0;
    const members = await redis.zcard('keys:live');
    for (let start = 0; start < members; start += membersAtOnce) {
      const flat = await redis.zrange('keys:live', start, String(start + membersAtOnce - 1), 'WITHSCORES');
      for (let at = 1; at < flat.length; at += 2) sum += Number(flat[at]);
    }
    return check('redis', 'members and the sum of their scores', expected, `${members} ${sum}`);
  }

  async function received(): Promise<Check> {
    const response = await fetch(`http://127.0.0.1:${config.receiverPort}/counts`);
    const { events } = (await response.json()) as { events: number };
    return check('http', 'events', await text(source, 'select count(*)::text as text from public.bench_keys'), String(events));
  }
}

const membersAtOnce = 10_000;

function check(sink: string, what: string, expected: string, actual: string): Check {
  return { sink: `keys/${sink}`, what, expected, actual, equal: expected === actual };
}
