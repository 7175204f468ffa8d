import { bigint, clickhouse, count, definePipeline, dimension, distinct, hopping, http, integer, max, min, mul, postgres, quantile, redis, results, rolling, sum, table, text, timestamptz, tumbling } from '../../core/define-pipeline.ts';
import { resolve } from '../../core/define/resolve.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Knobs } from './plan.ts';

const defined = resolve(
  definePipeline({
    name: 'sim',
    source: postgres({
      events: table('events', { id: bigint(), k: text().nullable().interned(), at: timestamptz(), points: integer().nullable() }, { key: 'id', eventTime: 'at' }),
      posts: dimension('posts', { id: text(), title: text().nullable() }, { key: 'id', on: 'k' }),
    }),
    enrich: ({ events, posts }) => ({ ...events, title: posts.title, twice: mul(events.points, 2) }),
    views: ({ events, posts }) => ({
      tumble: tumbling('1s', { key: events.k, measures: { views: count() }, top: 3, labels: { title: posts.title } }),
      hop: hopping('3s', { every: '1s', key: events.k, measures: { views: count(), points: sum(events.points), high: max(events.points), low: min(events.points) }, rankBy: 'points', top: 2 }),
      roll: rolling('4s', { pane: '1s', key: events.k, score: sum(events.points), top: 3 }),
      spread: hopping('2s', { every: '1s', key: events.k, measures: { points: sum(events.points), half: quantile(events.points, 0.5, { scale: 2 }), most: quantile(events.points, 0.75, { scale: 2 }) }, rankBy: 'half', top: 2 }),
      variety: tumbling('1s', { key: events.k, measures: { kinds: distinct(events.points) }, top: 3 }),
    }),
    sinks: {
      enriched: clickhouse({ table: 'enriched', orderBy: ['at', 'id'], partitionBy: 'at' }),
      live: redis({ view: 'roll', key: 'live' }),
      external: http({ url: 'http://receiver/', secret: 'whsec_AAAA', maxRows: 3, inFlight: 2 }),
      out: results({ view: 'tumble', table: 'results.tumble' }),
    },
    settings: { watermarkDelayMs: 200, allowedLatenessMs: 2_000, maxFutureMs: 5_000, lingerMs: 20, canaryMs: 900, stepMs: 5_000, heartbeatMs: 300 },
  }),
  {},
);

/** Views whose panes are divided by a value (decision 22), each in a set of its own, and what they tell of it. */
export const divisions = { spread: 'quantile', variety: 'distinct' } as const;
export type DividedView = keyof typeof divisions;

/** The simulated pipeline: every kind of lane, with limits that a short stream reaches. */
export function simulatedPipeline({ segmentRows, maxSlotLagBytes, spoolKeepMs, messageRows, inFlight, divided }: Knobs): Pipeline {
  const { external } = defined.sinks;
  if (external?.kind !== 'http') throw new TypeError('external is an HTTP sink');
  return {
    ...defined,
    views: Object.fromEntries(Object.entries(defined.views).filter(([name]) => divided || !(name in divisions))),
    settings: { ...defined.settings, segmentRows, maxSlotLagBytes, spoolKeepMs },
    sinks: { ...defined.sinks, external: { ...external, maxRows: messageRows, inFlight } },
  };
}

/** In the order in which results are published; those of views that the pipeline has. */
export const publishedViews = [
  { name: 'tumble', set: 'tumble', sizeMs: 1_000, top: 3, rankBy: 'views', measures: ['views'] },
  { name: 'hop', set: 'tumble', sizeMs: 3_000, top: 2, rankBy: 'points', measures: ['views', 'points', 'high', 'low'] },
  { name: 'spread', set: 'spread', sizeMs: 2_000, top: 2, rankBy: 'half', measures: ['points', 'half', 'most'] },
  { name: 'variety', set: 'variety', sizeMs: 1_000, top: 3, rankBy: 'kinds', measures: ['kinds'] },
] as const;
export type PublishedView = (typeof publishedViews)[number];
export const paneMs = 1_000;
export const rollingMs = 4_000;
