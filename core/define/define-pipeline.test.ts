import { describe, expect, test } from 'vitest';
import { pipelines } from '../../pipelines/index.ts';
import {
  bigint,
  clickhouse,
  count,
  date,
  definePipeline,
  dimension,
  distinct,
  div,
  float8,
  gt,
  http,
  integer,
  json,
  match,
  max,
  numeric,
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
import type { Pipeline, Text } from '../pipeline.ts';
import { beforeColumns } from './before-columns.ts';
import { definitionHash } from './definition-hash.ts';
import { InvalidPipeline } from './invalid-pipeline.ts';
import { lanesOf } from './lanes.ts';
import { resolve } from './resolve.ts';
import { rowSchema } from './row-schema.ts';

const columns = {
  id: bigint(),
  item: uuid().interned(),
  kind: text().nullable().interned(),
  at: timestamptz(),
  size: integer(),
  weight: float8(),
  price: numeric(),
  note: json(),
};
const source = postgres({
  events: table('events', columns, { key: 'id', eventTime: 'at' }),
  items: dimension('items', { id: uuid(), title: text(), size: integer() }, { key: 'id', on: 'item' }),
});
type Options = Parameters<typeof definePipeline<typeof source.tables, {}, {}>>[0];
type Scope = Parameters<NonNullable<Options['views']>>[0];

/** A right definition with something changed. The compiler would refuse much of it; definitions may come without one. */
function defined(change: Record<string, unknown>): () => Pipeline<Text> {
  const right = {
    name: 'right',
    source,
    sinks: { rows: clickhouse({ table: 'rows', orderBy: ['at', 'id'], partitionBy: 'at' }) },
  };
  return () => definePipeline({ ...right, ...change } as never);
}

const view = (change: Record<string, unknown> | ((scope: Scope) => Record<string, unknown>)) => ({
  views: (scope: Scope) => ({
    top: tumbling('10s', {
      key: scope.events.item,
      measures: { rows: count() },
      top: 3,
      ...(typeof change === 'function' ? change(scope) : change),
    } as never),
  }),
});

test('a right definition gets its defaults', () => {
  const pipeline = defined({})();
  expect(pipeline.settings.segmentRows).toBe(50_000);
  expect(Object.keys(pipeline.row)).toEqual(Object.keys(columns));
  expect(pipeline.source.events.relation).toBe('public.events');
});

test('tables are read as any object is', async () => {
  let scope: Scope | undefined;
  defined({ enrich: (given: Scope) => void (scope = given) })();
  const { events, ...others } = scope!;
  expect(Object.keys({ ...events })).toEqual(Object.keys(columns));
  expect(Object.keys(others)).toEqual(['items']);
  expect('sizes' in events).toBe(false);
  expect(await Promise.resolve(events)).toBe(events);
  expect(JSON.parse(JSON.stringify(others)) as unknown).toMatchObject({ items: { title: { op: 'column', table: 'items', column: 'title' } } });
});

describe('a wrong definition is refused with the reason', () => {
  test.each([
    ['a bad name', { name: 'Not-a-name' }, /pipeline "Not-a-name": a name is a lower-case letter/],
    ['no sinks', { sinks: {} }, /its results would go nowhere/],
    [
      'a sink of a reserved name',
      { sinks: { aggregate: http({ url: 'http://x', secret: 'y' }) } },
      /sink aggregate: every pipeline has a part of that name/,
    ],
    ['a spool with no room for its segments', { settings: { spoolBudgetBytes: 1 << 20 } }, /spoolBudgetBytes is 1048576; it must be at least four times segmentBytes, 33554432/],
    ['an unknown setting', { settings: { lingering: 3 } }, /there is no setting lingering/],
    ['a negative setting', { settings: { lingerMs: -3 } }, /lingerMs is -3/],
    [
      'an enriched column over an own one',
      { enrich: ({ items }: Scope) => ({ size: items.size }) },
      /enrich: size is a column of events already/,
    ],
    [
      'a key that is not a column',
      { source: postgres({ events: table('events', columns, { key: 'ident' as never, eventTime: 'at' }) }) },
      /events: the key ident is not one of its columns \(id, item,/,
    ],
    [
      'a nullable key',
      { source: postgres({ events: table('events', columns, { key: 'kind', eventTime: 'at' }) }) },
      /the key kind is nullable/,
    ],
    [
      'an event time of another type',
      { source: postgres({ events: table('events', columns, { key: 'id', eventTime: 'size' as never }) }) },
      /event time size is a int4/,
    ],
    [
      'a dimension on nothing',
      {
        source: postgres({
          ...source.tables,
          items: dimension('items', { id: uuid() }, { key: 'id', on: 'item_id' }),
        } as never),
      },
      /hangs on item_id, which is not a column of events/,
    ],
    [
      'a dimension with another key type',
      {
        source: postgres({ ...source.tables, items: dimension('items', { id: bigint() }, { key: 'id', on: 'item' }) }),
      },
      /its key id is a int8, but events.item is a uuid/,
    ],
    [
      'E16: a dimension column as a key',
      view(({ items }) => ({ key: items.title })),
      /its key uses the dimension column items.title: .*\(E16\).*labels/,
    ],
    [
      'E16: a dimension column in a filter',
      view(({ items }) => ({ where: gt(items.size, 3) })),
      /its filter uses the dimension column items.size: .*\(E16\)/,
    ],
    [
      'E16: a dimension column in a measure',
      view(({ events, items }) => ({ measures: { part: sum(div(events.size, items.size), { scale: 2 }) } })),
      /its measure part uses the dimension column items.size: .*\(E16\)/,
    ],
    [
      'a column that there is not',
      { enrich: ({ events }: Record<string, Record<string, never>>) => ({ twice: div(events!['sizes']!, 2) }) },
      /^events \(public\.events\) has no column sizes; it has id, item, kind, at, size, weight, price, note$/,
    ],
    [
      'a column that a dimension has not',
      view(({ items }) => ({ labels: { name: (items as Record<string, unknown>)['name'] } })),
      /^items \(public\.items\) has no column name; it has id, title, size$/,
    ],
    [
      'a table that there is not',
      { views: ({ thing }: Record<string, { name: unknown }>) => ({ top: thing!.name }) },
      /^the source has no table thing; it has events, items$/,
    ],
    ['a key of a type without one text', view(({ events }) => ({ key: events.weight })), /its key weight is a float8/],
    [
      'a label of an event column',
      view(({ events }) => ({ labels: { size: events.size } })),
      /the label size must be a column of a dimension/,
    ],
    [
      'a label of a dimension that hangs elsewhere',
      view(({ events, items }) => ({ key: events.id, labels: { title: items.title } })),
      /hangs on item, but the view's key is id/,
    ],
    [
      'a measure named as a result column',
      view({ measures: { rank: count() } }),
      /rank is a column that every result has/,
    ],
    ['no ranks', view({ top: 0 }), /top 0: a result has between 1 and 1,000 ranks/],
    ['a rank by nothing', view({ rankBy: 'views' }), /it ranks by views, which is not one of its measures \(rows\)/],
    ['two measures and none that ranks', view({ measures: { rows: count(), more: count() } }), /which measure ranks\?/],
    [
      'a window of broken panes',
      {
        views: ({ events }: Scope) => ({
          top: rolling('10m', { pane: '7s', key: events.item, measures: { rows: count() }, top: 3 }),
        }),
      },
      /a rolling window of 600000 ms is not a whole number of panes of 7000 ms/,
    ],
    [
      'not a duration',
      {
        views: ({ events }: Scope) => ({
          top: tumbling('1.5m', { key: events.item, measures: { rows: count() }, top: 3 }),
        }),
      },
      /"1.5m" is not a duration/,
    ],
    [
      'a sum of a float without a scale',
      view(({ events }) => ({ measures: { weight: sum(events.weight) } })),
      /how many decimal digits of a float count\?/,
    ],
    [
      'a sum of a numeric without a scale',
      view(({ events }) => ({ measures: { price: sum(events.price) } })),
      /how many decimal digits of a decimal count\?/,
    ],
    [
      'a match too long for 2^53',
      view(({ events }) => ({ measures: { a: sum(match(events.kind, { play: 12345678.123456789 }, 0)) } })),
      undefined,
    ],
    [
      'a sink of no view',
      { sinks: { set: redisResults({ view: 'top', key: 'k' }) } },
      /there is no view top; the views are none/,
    ],
    [
      'a live sink of a tumbling view',
      { ...view({}), sinks: { live: redis({ view: 'top', key: 'k' }) } },
      /a live structure needs a rolling view, but top is tumbling/,
    ],
    [
      'a live sink that ranks by a max',
      {
        views: ({ events }: Scope) => ({
          top: rolling('10m', { pane: '10s', key: events.item, score: max(events.size), top: 3 }),
        }),
        sinks: { live: redis({ view: 'top', key: 'k' }) },
      },
      /sink live: score is a max, and a live structure takes rows out as its window moves on, which cannot be done with that \(E15\); show other measures there, or publish the view with redisResults or results/,
    ],
    [
      'a live sink of a view with a quantile, whatever it shows',
      {
        views: ({ events }: Scope) => ({
          top: rolling('10m', { pane: '10s', key: events.item, score: count(), measures: { p99: quantile(events.size, 0.99) }, top: 3 }),
        }),
        sinks: { live: redis({ view: 'top', key: 'k' }) },
      },
      /sink live: p99 of top is a quantile, and a live structure adds up panes by key, which that view's are not kept by alone; show a view without it, or publish this one with redisResults or results/,
    ],
    [
      'a quantile beyond 1',
      view(({ events }) => ({ measures: { p99: quantile(events.size, 99) } })),
      /quantile: 99 is not between 0 and 1; the median is quantile\(…, 0.5\)/,
    ],
    [
      'quantiles of two values',
      view(({ events }) => ({ measures: { one: quantile(events.size, 0.5), two: quantile(events.weight, 0.5, { scale: 2 }) }, rankBy: 'one' })),
      /view top: two and one are of different values, and the panes of a view are divided by one; make a view of its own for two, with the same window and key/,
    ],
    [
      'a quantile and distinct values in one view',
      view(({ events }) => ({ measures: { one: quantile(events.size, 0.5), two: distinct(events.size) }, rankBy: 'one' })),
      /two and one are of different values/,
    ],
    [
      'distinct values of a type without one text',
      view(({ events }) => ({ measures: { prices: distinct(events.price) } })),
      /prices counts distinct values of a numeric, and one value may be written in more than one way; it takes text, uuid, an integer or a boolean/,
    ],
    [
      'distinct values of something computed',
      view(({ events }) => ({ measures: { halves: distinct(div(events.size, 2) as never) } })),
      /halves counts distinct values of something that is not a column of events, but computed/,
    ],
    [
      'E16: distinct values of a dimension',
      view(({ items }) => ({ measures: { titles: distinct(items.title as never) } })),
      /its measure titles uses the dimension column items.title: .*\(E16\)/,
    ],
    [
      'a hash of no measure',
      { ...view({}), sinks: { live: redis({ view: 'top', key: 'k', hash: ['plays'] }) } },
      /plays, which is not a measure of top \(rows\)/,
    ],
    [
      'a sort without the key',
      { sinks: { rows: clickhouse({ table: 'rows', orderBy: ['at'], partitionBy: 'at' }) } },
      /orderBy must contain the key id/,
    ],
    [
      'a partition outside the sort',
      { sinks: { rows: clickhouse({ table: 'rows', orderBy: ['id'], partitionBy: 'at' }) } },
      /orderBy must contain at, by which it is partitioned/,
    ],
    [
      'a sort by a nullable column',
      { sinks: { rows: clickhouse({ table: 'rows', orderBy: ['at', 'id', 'kind'], partitionBy: 'at' }) } },
      /kind is nullable/,
    ],
    [
      'a partition by no day',
      { sinks: { rows: clickhouse({ table: 'rows', orderBy: ['id'], partitionBy: 'id' }) } },
      /a partition for each day of id, but that is a int8/,
    ],
    [
      'a table name that must be quoted',
      { sinks: { rows: clickhouse({ table: 'Rows; drop', orderBy: ['at', 'id'], partitionBy: 'at' }) } },
      /"Rows; drop" is not a table name/,
    ],
    [
      'a results table of no view',
      { sinks: { set: results({ view: 'top', table: 'results.top' }) } },
      /there is no view top/,
    ],
  ])('%s', (_, change, reason) => {
    if (reason) expect(defined(change)).toThrow(reason);
    else expect(defined(change)).not.toThrow();
  });

  test('with all reasons at once', () => {
    const error = catchError(defined({ name: 'X', sinks: {} }));
    expect(error).toBeInstanceOf(InvalidPipeline);
    expect((error as InvalidPipeline).problems).toHaveLength(2);
  });

  test.each([
    ['an interned integer', () => integer().interned, /a int4 column cannot be interned/],
    ['an interned date', () => date().interned, /a date column cannot be interned/],
  ])('%s', (_, make, reason) => expect(make() as unknown as () => void).toThrow(reason));
});

describe('the two pipelines', () => {
  const { engagement, trending } = pipelines as Readonly<Record<'engagement' | 'trending', Pipeline<Text>>>;
  const environment = { SLUICE_EXTERNAL_URL: 'http://127.0.0.1:7408/', SLUICE_EXTERNAL_SECRET: 'whsec_x' };

  test('take addresses from the environment', () => {
    expect(resolve(engagement, { ...environment, SLUICE_TOP_KEY: 'thm:top:10m' }).sinks).toMatchObject({
      live: { key: 'thm:top:10m' },
      external: { url: environment.SLUICE_EXTERNAL_URL },
    });
    expect(resolve(engagement, { ...environment, SLUICE_TOP_KEY: '' }).sinks).toMatchObject({
      live: { key: 'top_engagement:10min' },
    });
    expect(() => resolve(engagement, {})).toThrow(
      'SLUICE_EXTERNAL_URL is not set, and the sink external of pipeline engagement needs it.',
    );
  });

  test('have the lanes of their sinks, the aggregate lane first', () => {
    expect(lanesOf(engagement)).toEqual([
      { name: 'aggregate', kind: 'aggregate', reads: 'segments' },
      { name: 'enriched', kind: 'clickhouse', reads: 'segments' },
      { name: 'live', kind: 'redis-live', reads: 'segments' },
      { name: 'leaderboard', kind: 'redis-results', reads: 'outbox' },
      { name: 'external', kind: 'http', reads: 'segments' },
    ]);
    expect(lanesOf(trending).map(({ reads }) => reads)).toEqual(['segments', 'outbox', 'outbox']);
  });

  test('need these columns to take a row back', () => {
    expect(beforeColumns(engagement)).toEqual(['id', 'content_id', 'event_type', 'event_ts', 'duration_ms']);
    expect(beforeColumns(trending)).toEqual(['id', 'post_id', 'viewed_at']);
  });

  test('have rows of the source columns, then the enriched ones', () => {
    const schema = rowSchema(engagement);
    expect(Object.keys(schema)).toEqual([
      'id',
      'content_id',
      'user_id',
      'event_type',
      'event_ts',
      'duration_ms',
      'device',
      'raw_payload',
      'title',
      'content_type',
      'engagement_seconds',
      'engagement_pct',
    ]);
    expect(schema['content_type']).toEqual({ type: 'text', nullable: true, interned: true });
    expect(schema['engagement_pct']).toEqual({ type: 'float8', nullable: true, interned: false });
  });

  test('E3: the hash changes with rows, views and places, not with settings and addresses', () => {
    const resolved = resolve(engagement, environment);
    const hash = definitionHash(resolved);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(definitionHash(resolve(engagement, { ...environment, SLUICE_EXTERNAL_URL: 'http://elsewhere/' }))).toBe(
      hash,
    );
    expect(definitionHash({ ...resolved, settings: { ...resolved.settings, lingerMs: 1 } })).toBe(hash);
    expect(
      definitionHash({ ...resolved, sinks: Object.fromEntries(Object.entries(resolved.sinks).toReversed()) }),
    ).toBe(hash);
    expect(definitionHash(resolve(engagement, { ...environment, SLUICE_TOP_KEY: 'other' }))).not.toBe(hash);
    expect(
      definitionHash({ ...resolved, row: Object.fromEntries(Object.entries(resolved.row).toReversed()) }),
    ).not.toBe(hash);
    expect(definitionHash({ ...resolved, views: {} })).not.toBe(hash);
  });
});

function catchError(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
