import {
  bigint,
  count,
  definePipeline,
  dimension,
  postgres,
  redisResults,
  results,
  table,
  text,
  timestamptz,
  tumbling,
} from '../core/define-pipeline.ts';

/** A blog: the ten posts with the most views in each ten seconds. */
export default definePipeline({
  name: 'trending',

  source: postgres({
    events: table(
      'post_views',
      { id: bigint(), post_id: bigint().nullable(), viewed_at: timestamptz() },
      { key: 'id', eventTime: 'viewed_at' },
    ),
    posts: dimension('posts', { id: bigint(), title: text() }, { key: 'id', on: 'post_id' }),
  }),

  views: ({ events, posts }) => ({
    trending: tumbling('10s', {
      key: events.post_id,
      measures: { views: count() },
      top: 10,
      labels: { title: posts.title },
    }),
  }),

  sinks: {
    posts: results({ view: 'trending', table: 'results.trending_posts' }),
    dashboard: redisResults({ view: 'trending', key: 'trending:top' }),
  },
});
