import { and, avg, bigint, count, definePipeline, distinct, gt, hopping, integer, max, min, ne, postgres, quantile, redisResults, results, scaled, table, text, timestamptz, tumbling, uuid } from '../../core/define-pipeline.ts';
import type { Pipeline, Text } from '../../core/pipeline.ts';
import { pipelines } from '../../pipelines/index.ts';

/** The device of rows that come by the million in one transaction, most of them late. Views that keep more than a few numbers of them leave them out. */
export const hugeDevice = 'huge';

/**
 * The sample pipelines are to show what is common. In the laboratory each has more views: with a min and max, which rows that are
 * changed and deleted take away all the time (E15), and divided by a value, as quantiles and numbers of distinct values are. They
 * count in panes of their own, so that a repair of theirs hides nothing that the others have lost. Whoever imports this file has them.
 */
const engagement = definePipeline({
  name: 'engagement',

  source: postgres({
    events: table(
      'engagement_events',
      { id: bigint(), content_id: uuid().nullable(), user_id: uuid().nullable(), event_type: text().nullable(), event_ts: timestamptz(), duration_ms: integer().nullable(), device: text().nullable() },
      { key: 'id', eventTime: 'event_ts' },
    ),
  }),

  views: ({ events }) => ({
    lengths: tumbling('10s', {
      key: events.content_id,
      where: and(ne(events.event_type, 'click'), ne(events.device, hugeDevice)),
      measures: { longest: max(events.duration_ms), shortest: min(events.duration_ms), seconds: avg(scaled(events.duration_ms, 3)) },
      rankBy: 'longest',
      top: 10,
    }),
    typical: hopping('30s', {
      every: '10s',
      key: events.event_type,
      where: ne(events.device, hugeDevice),
      measures: { median: quantile(events.duration_ms, 0.5), most: quantile(events.duration_ms, 0.99), events: count() },
      rankBy: 'most',
      top: 5,
    }),
    audience: tumbling('20s', { key: events.device, where: ne(events.device, hugeDevice), measures: { users: distinct(events.user_id) }, top: 5 }),
  }),

  sinks: {
    lengths: results({ view: 'lengths', table: 'results.engagement_lengths' }),
    typical: redisResults({ view: 'typical', key: 'engagement:typical' }),
    audience: results({ view: 'audience', table: 'results.engagement_audience' }),
  },
});

const trending = definePipeline({
  name: 'trending',

  source: postgres({ events: table('post_views', { id: bigint(), post_id: bigint().nullable(), viewed_at: timestamptz() }, { key: 'id', eventTime: 'viewed_at' }) }),

  views: ({ events }) => ({
    ends: tumbling('10s', { key: events.post_id, where: gt(events.id, 0), measures: { first: min(events.id), last: max(events.id) }, rankBy: 'last', top: 10 }),
    middle: hopping('30s', { every: '10s', key: events.post_id, measures: { middle: quantile(events.id, 0.5), views: count() }, rankBy: 'views', top: 10 }),
    readers: tumbling('20s', { key: events.post_id, measures: { readers: distinct(events.id) }, top: 10 }),
  }),

  sinks: {
    ends: results({ view: 'ends', table: 'results.trending_ends' }),
    middle: redisResults({ view: 'middle', key: 'trending:middle' }),
    readers: results({ view: 'readers', table: 'results.trending_readers' }),
  },
});

for (const more of [engagement, trending]) (pipelines as Record<string, Pipeline<Text>>)[more.name] = withMore(pipelines[more.name]!, more);

/** The one, with the views and sinks of the other beside its own. */
export function withMore(pipeline: Pipeline<Text>, { views, sinks }: Pick<Pipeline<Text>, 'views' | 'sinks'>): Pipeline<Text> {
  return { ...pipeline, views: { ...pipeline.views, ...views }, sinks: { ...pipeline.sinks, ...sinks } };
}
