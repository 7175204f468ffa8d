/** What must not compile. `tsc` fails if one of these lines does. Nothing here runs. */
import {
  add,
  bigint,
  clickhouse,
  count,
  definePipeline,
  dimension,
  distinct,
  div,
  eq,
  hopping,
  integer,
  match,
  max,
  min,
  postgres,
  quantile,
  redis,
  redisResults,
  results,
  rolling,
  sum,
  table,
  text,
  timestamptz,
  tumbling,
  uuid,
} from '../define-pipeline.ts';
import type { Scope } from './define-pipeline.ts';
import type { ViewDefinition } from './views.ts';

const columns = {
  id: bigint(),
  item: uuid().interned(),
  kind: text().nullable().interned(),
  at: timestamptz(),
  size: integer(),
};
const events = table('events', columns, { key: 'id', eventTime: 'at' });
const items = dimension('items', { id: uuid(), title: text() }, { key: 'id', on: 'item' });
const source = postgres({ events, items });

export const compiles = () => [
  definePipeline({
    name: 'right',
    source,
    enrich: (tables) => ({ title: tables.items.title, twice: add(tables.events.size, tables.events.size) }),
    views: (tables) => ({
      top: rolling('10m', {
        pane: '10s',
        key: tables.events.item,
        score: sum(tables.events.size),
        measures: { rows: count() },
        top: 3,
        labels: { title: tables.items.title },
      }),
      busy: tumbling('10s', {
        key: tables.events.item,
        where: eq(tables.events.kind, 'play'),
        measures: { rows: count(), least: min(tables.events.size), greatest: max(tables.events.size), p99: quantile(tables.events.size, 0.99) },
        rankBy: 'rows',
        top: 3,
      }),
      kinds: tumbling('10s', { key: tables.events.item, score: distinct(tables.events.kind), top: 3 }),
    }),
    sinks: {
      rows: clickhouse({ table: 'rows', orderBy: ['at', 'id'], partitionBy: 'at' }),
      live: redis({ view: 'top', key: 'top', hash: ['rows', 'score'] }),
      scores: redis({ view: 'top', key: 'scores' }),
      table: results({ view: 'busy', table: 'results.busy' }),
    },
  }),
];

export const sources = () => [
  // @ts-expect-error the key is not a column
  table('events', columns, { key: 'ident', eventTime: 'at' }),
  // @ts-expect-error the event time is not a column
  table('events', columns, { key: 'id', eventTime: 'time' }),
  // @ts-expect-error the event time is not a timestamp
  table('events', columns, { key: 'id', eventTime: 'size' }),
  // @ts-expect-error the dimension hangs on a column that events does not have
  postgres({ events, items: dimension('items', { id: uuid() }, { key: 'id', on: 'item_id' }) }),
  // @ts-expect-error an integer cannot be interned
  integer().interned(),
];

type Both = Scope<{ events: typeof events; items: typeof items }>;
const enrich = <R>(make: (tables: Both) => R) => make;
const view = (make: (tables: Both) => ViewDefinition) => make;
const rows = { measures: { rows: count() }, top: 3 } as const;

export const enrichments = () => [
  // @ts-expect-error no such column of the event table
  enrich((tables) => tables.events.sise),
  // @ts-expect-error no such column of the dimension
  enrich((tables) => tables.items.name),
  // @ts-expect-error no such dimension
  enrich((tables) => tables.things),
  // @ts-expect-error a text cannot be divided
  enrich((tables) => div(tables.events.kind, 2)),
  // @ts-expect-error a number is not compared with a text
  enrich((tables) => eq(tables.events.size, 'big')),
  // @ts-expect-error match takes a text
  enrich((tables) => match(tables.events.size, { big: 1 }, 0)),
  // @ts-expect-error a decimal is summed, not calculated with
  enrich((tables) => add(match(tables.events.kind, { play: 1 }, 0), 1)),
];

export const views = () => [
  view((tables) => tumbling('10s', { key: tables.events.item, ...rows })),
  // @ts-expect-error no such column as a key
  view((tables) => tumbling('10s', { key: tables.events.thing, ...rows })),
  // @ts-expect-error a dimension column as a key (E16)
  view((tables) => tumbling('10s', { key: tables.items.title, ...rows })),
  // @ts-expect-error a computed key
  view((tables) => tumbling('10s', { key: add(tables.events.size, 1), ...rows })),
  // @ts-expect-error no such label
  view((tables) => tumbling('10s', { key: tables.events.item, ...rows, labels: { name: tables.items.name } })),
  // @ts-expect-error a text cannot be summed
  view((tables) => tumbling('10s', { key: tables.events.item, score: sum(tables.events.kind), top: 1 })),
  // @ts-expect-error a text has no greatest
  view((tables) => tumbling('10s', { key: tables.events.item, score: max(tables.events.kind), top: 1 })),
  // @ts-expect-error a text has no quantiles
  view((tables) => tumbling('10s', { key: tables.events.item, score: quantile(tables.events.kind, 0.5), top: 1 })),
  // @ts-expect-error distinct values of a dimension column (E16)
  view((tables) => tumbling('10s', { key: tables.events.item, score: distinct(tables.items.title), top: 1 })),
  // @ts-expect-error distinct values of something computed
  view((tables) => tumbling('10s', { key: tables.events.item, score: distinct(add(tables.events.size, 1)), top: 1 })),
  // @ts-expect-error a filter is a condition
  view((tables) => tumbling('10s', { key: tables.events.item, ...rows, where: tables.events.size })),
  // @ts-expect-error no such measure to rank by
  view((tables) => tumbling('10s', { key: tables.events.item, ...rows, rankBy: 'views' })),
  // @ts-expect-error not a duration
  view((tables) => tumbling('ten seconds', { key: tables.events.item, ...rows })),
  // @ts-expect-error a hopping window without its hop
  view((tables) => hopping('1m', { key: tables.events.item, ...rows })),
];

const top = { name: 'top', source } as const;
const oneView = (tables: Both) => ({ top: rolling('10m', { pane: '10s', key: tables.events.item, ...rows }) });

export const sinks = () => [
  definePipeline({ ...top, views: oneView, sinks: { live: redis({ view: 'top', key: 'top', hash: ['rows'] }) } }),
  definePipeline({
    ...top,
    // @ts-expect-error sorted by a column that does not exist
    sinks: { rows: clickhouse({ table: 'rows', orderBy: ['time', 'id'], partitionBy: 'at' }) },
  }),
  definePipeline({
    ...top,
    // @ts-expect-error partitioned by a column that does not exist
    sinks: { rows: clickhouse({ table: 'rows', orderBy: ['at', 'id'], partitionBy: 'time' }) },
  }),
  // @ts-expect-error no such view
  definePipeline({ ...top, views: oneView, sinks: { live: redis({ view: 'bottom', key: 'top' }) } }),
  // @ts-expect-error no such measure in the hash
  definePipeline({ ...top, views: oneView, sinks: { live: redis({ view: 'top', key: 'top', hash: ['plays'] }) } }),
  // @ts-expect-error no such view for the results table
  definePipeline({ ...top, views: oneView, sinks: { table: results({ view: 'bottom', table: 'results.top' }) } }),
  // @ts-expect-error no such view for the published set
  definePipeline({ ...top, views: oneView, sinks: { set: redisResults({ view: 'bottom', key: 'top' }) } }),
];
