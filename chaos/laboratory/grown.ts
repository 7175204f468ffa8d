import { bigint, clickhouse, count, definePipeline, distinct, integer, max, ne, postgres, redis, results, rolling, sum, table, text, timestamptz, uuid } from '../../core/define-pipeline.ts';
import type { Pipeline, Text } from '../../core/pipeline.ts';
import { hugeDevice } from './more-views.ts';

type Grown = Pick<Pipeline<Text>, 'views' | 'sinks'>;

const engagement = definePipeline({
  name: 'engagement',

  source: postgres({
    events: table(
      'engagement_events',
      { id: bigint(), content_id: uuid().nullable(), user_id: uuid().nullable(), event_ts: timestamptz(), duration_ms: integer().nullable(), device: text().nullable() },
      { key: 'id', eventTime: 'event_ts' },
    ),
  }),

  views: ({ events }) => ({
    devices: rolling('1m', { pane: '20s', key: events.device, measures: { events: count(), milliseconds: sum(events.duration_ms) }, rankBy: 'events', top: 5 }),
    longest: rolling('1m', { pane: '20s', key: events.content_id, measures: { longest: max(events.duration_ms) }, top: 5 }),
    // of panes that are there already
    crowd: rolling('1m', { pane: '20s', key: events.device, where: ne(events.device, hugeDevice), measures: { users: distinct(events.user_id) }, top: 5 }),
  }),

  sinks: {
    copy: clickhouse({ table: 'engagement_copy', orderBy: ['event_ts', 'id'], partitionBy: 'event_ts' }),
    devices: redis({ view: 'devices', key: 'engagement:devices', hash: ['milliseconds'] }),
    by_device: results({ view: 'devices', table: 'results.engagement_by_device' }),
    longest: results({ view: 'longest', table: 'results.engagement_longest' }),
    crowd: results({ view: 'crowd', table: 'results.engagement_crowd' }),
  },
});

const trending = definePipeline({
  name: 'trending',

  source: postgres({ events: table('post_views', { id: bigint(), post_id: bigint().nullable(), viewed_at: timestamptz() }, { key: 'id', eventTime: 'viewed_at' }) }),

  views: ({ events }) => ({
    recent: rolling('1m', { pane: '20s', key: events.post_id, measures: { views: count(), newest: max(events.id) }, rankBy: 'views', top: 5 }),
  }),

  sinks: {
    recent: results({ view: 'recent', table: 'results.trending_recent' }),
    live: redis({ view: 'recent', key: 'trending:recent' }),
  },
});

/** No view with panes of its own: events of the year 275,000 and later are not filled into them (decision 20). */
const laboratory: Grown = {
  views: {},
  sinks: {
    copy: clickhouse({ table: 'laboratory_copy', orderBy: ['Event Time', 'Id'], partitionBy: 'Event Time' }),
    second: redis({ view: 'latest', key: 'laboratory:second', hash: ['rows'] }),
    kept: results({ view: 'busiest', table: 'results.laboratory_kept' }),
  },
};

/**
 * What a pipeline gets beside its own while it runs, and loses again, by name: views with panes of their own and of panes that are
 * there, tables of windows, a live structure, and a table of rows.
 */
export const grown: Readonly<Record<string, Grown>> = {
  engagement: { ...engagement, sinks: { ...engagement.sinks, board: results({ view: 'leaderboard', table: 'results.engagement_board' }) } },
  trending: { ...trending, sinks: { ...trending.sinks, kept: results({ view: 'trending', table: 'results.trending_kept' }) } },
  laboratory,
};
