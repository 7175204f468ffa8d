import { bigint, clickhouse, count, definePipeline, env, hopping, http, integer, postgres, redis, redisResults, rolling, sum, table, timestamptz } from '../../core/define-pipeline.ts';

/** As few columns as there can be, so that what many keys cost is not hidden behind them. */
export const keysPipeline = definePipeline({
  name: 'keys',

  source: postgres({
    events: table('bench_keys', { id: bigint(), item_id: bigint(), event_ts: timestamptz(), amount: integer() }, { key: 'id', eventTime: 'event_ts' }),
  }),

  views: ({ events }) => ({
    // the window still has all of them when the last one is there
    recent: rolling('1h', { pane: '10s', key: events.item_id, measures: { events: count(), amounts: sum(events.amount) }, rankBy: 'amounts', top: 10 }),
    minutes: hopping('1m', { every: '10s', key: events.item_id, measures: { events: count(), amounts: sum(events.amount) }, rankBy: 'amounts', top: 10 }),
  }),

  sinks: {
    rows: clickhouse({ table: 'bench_keys', orderBy: ['event_ts', 'id'], partitionBy: 'event_ts' }),
    live: redis({ view: 'recent', key: 'keys:live', hash: ['events'] }),
    published: redisResults({ view: 'minutes', key: 'keys:published' }),
    external: http({ url: env('SLUICE_EXTERNAL_URL'), secret: env('SLUICE_EXTERNAL_SECRET'), initialLoad: true, maxRows: 5_000, inFlight: 3 }),
  },
});

/** Of no more than `distinct` keys, and of exactly so many if there are as many events. */
export function keysTable(distinct: number) {
  return {
    sql: `create table public.bench_keys (id bigserial primary key, item_id bigint not null, event_ts timestamptz not null, amount int not null);
          alter table public.bench_keys replica identity full;`,
    relation: 'public.bench_keys',
    // a prime: neighbours in time are no neighbours among the keys
    columns: { item_id: `(g::bigint * 7919) % ${distinct}`, amount: 'g % 1000' },
  };
}
