import { bigint, clickhouse, count, definePipeline, dimension, hopping, http, integer, max, min, mul, postgres, redis, results, rolling, sum, table, text, timestamptz, tumbling } from '../../core/define-pipeline.ts';
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

/** The simulated pipeline: every kind of lane, with limits that a short stream reaches. */
export function simulatedPipeline({ segmentRows, maxSlotLagBytes, spoolKeepMs, messageRows, inFlight }: Knobs): Pipeline {
  const { external } = defined.sinks;
  if (external?.kind !== 'http') throw new TypeError('external is an HTTP sink');
  return {
    ...defined,
    settings: { ...defined.settings, segmentRows, maxSlotLagBytes, spoolKeepMs },
    sinks: { ...defined.sinks, external: { ...external, maxRows: messageRows, inFlight } },
  };
}

/** In the order in which results are published. */
export const publishedViews = [
  { name: 'tumble', sizeMs: 1_000, top: 3, rankBy: 'views', measures: ['views'] },
  { name: 'hop', sizeMs: 3_000, top: 2, rankBy: 'points', measures: ['views', 'points', 'high', 'low'] },
] as const;
export const paneMs = 1_000;
export const rollingMs = 4_000;
