import { bigint, clickhouse, count, definePipeline, env, hopping, http, integer, numeric, postgres, redis, redisResults, rolling, sum, table, text, timestamptz, uuid } from '../../core/define-pipeline.ts';

/** What every table of them has. */
const common = { id: bigint(), item_id: bigint(), event_ts: timestamptz(), kind: text().interned(), amount: integer() };

/** A further column, as SQL and in the definition; taken in turn. 45 of them are about 2 kB. */
const kinds = [
  { type: 'text', column: text(), value: (place: number) => `repeat(md5((g + ${place})::text), 3)` },
  { type: 'int', column: integer(), value: (place: number) => `(g * ${place}) % 1000000` },
  { type: 'numeric(12,2)', column: numeric(), value: (place: number) => `(g % 100000 + ${place})::numeric / 100` },
  { type: 'text', column: text(), value: (place: number) => `repeat(md5((g * ${place})::text), 3)` },
  { type: 'uuid', column: uuid(), value: (place: number) => `md5((g + ${place})::text)::uuid` },
];

/** Columns of each table. */
export const columnCounts = [5, 10, 20, 50] as const;

/** A table of so many columns, to all kinds of sinks. */
export const columnsPipelines = columnCounts.map(columnsPipeline);

function columnsPipeline(columns: number) {
  const name = `columns_${columns}`;
  const further = Object.fromEntries(furtherColumns(columns).map(([column, { column: type }]) => [column, type.nullable()]));
  // typed as the common ones: views use no other
  const all: typeof common = { ...common, ...further };
  return definePipeline({
    name,

    source: postgres({ events: table(`bench_${name}`, all, { key: 'id', eventTime: 'event_ts' }) }),

    views: ({ events }) => ({
      recent: rolling('10m', { pane: '10s', key: events.item_id, measures: { events: count(), amounts: sum(events.amount) }, rankBy: 'amounts', top: 10 }),
      minutes: hopping('1m', { every: '10s', key: events.item_id, measures: { events: count() }, top: 10 }),
    }),

    sinks: {
      rows: clickhouse({ table: name, orderBy: ['event_ts', 'id'], partitionBy: 'event_ts' }),
      live: redis({ view: 'recent', key: `${name}:live`, hash: ['events'] }),
      published: redisResults({ view: 'minutes', key: `${name}:published` }),
      external: http({ url: env('SLUICE_EXTERNAL_URL'), secret: env('SLUICE_EXTERNAL_SECRET'), initialLoad: true, maxRows: 5_000, inFlight: 3 }),
    },
  });
}

export function columnsTable(columns: number) {
  const relation = `public.bench_columns_${columns}`;
  const further = furtherColumns(columns);
  return {
    sql: `create table ${relation} (id bigserial primary key, item_id bigint not null, event_ts timestamptz not null, kind text not null, amount int not null${further.map(([name, { type }]) => `, ${name} ${type}`).join('')});
          alter table ${relation} replica identity full;`,
    relation,
    columns: { item_id: 'g % 1000', kind: "(array['play', 'pause', 'finish', 'click'])[1 + g % 4]", amount: 'g % 1000', ...Object.fromEntries(further.map(([name, { value }], place) => [name, value(place + 1)])) },
  };
}

function furtherColumns(columns: number) {
  return Array.from({ length: columns - Object.keys(common).length }, (_, place) => [`column_${place + 1}`, kinds[place % kinds.length]!] as const);
}
