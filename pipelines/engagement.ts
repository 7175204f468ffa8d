import {
  bigint,
  clickhouse,
  definePipeline,
  dimension,
  div,
  env,
  hopping,
  http,
  integer,
  jsonb,
  match,
  mul,
  postgres,
  redis,
  redisResults,
  rolling,
  scaled,
  sum,
  table,
  text,
  timestamptz,
  uuid,
} from '../core/define-pipeline.ts';

/** What people play, read and watch: enriched with its content, ranked by engagement, sent to three places. */
export default definePipeline({
  name: 'engagement',

  source: postgres({
    events: table(
      'engagement_events',
      {
        id: bigint(),
        content_id: uuid().nullable().interned(),
        user_id: uuid().nullable(),
        event_type: text().nullable().interned(),
        event_ts: timestamptz(),
        duration_ms: integer().nullable(),
        device: text().nullable().interned(),
        raw_payload: jsonb().nullable(),
      },
      { key: 'id', eventTime: 'event_ts' },
    ),
    content: dimension(
      'content',
      {
        id: uuid(),
        title: text().nullable().interned(),
        content_type: text().nullable().interned(),
        length_seconds: integer().nullable(),
      },
      { key: 'id', on: 'content_id' },
    ),
  }),

  enrich: ({ events, content }) => ({
    ...events,
    title: content.title,
    content_type: content.content_type,
    engagement_seconds: div(events.duration_ms, 1000),
    engagement_pct: mul(div(div(events.duration_ms, 1000), content.length_seconds), 100),
  }),

  views: ({ events, content }) => {
    const engagement = sum(match(events.event_type, { play: 1, finish: 1, click: 0.2 }, 0));
    return {
      top10m: rolling('10m', {
        pane: '10s',
        key: events.content_id,
        score: engagement,
        measures: {
          plays: sum(match(events.event_type, { play: 1 }, 0)),
          finishes: sum(match(events.event_type, { finish: 1 }, 0)),
          clicks: sum(match(events.event_type, { click: 1 }, 0)),
          seconds: sum(scaled(events.duration_ms, 3)),
        },
        top: 10,
      }),
      leaderboard: hopping('1m', {
        every: '10s',
        key: events.content_id,
        score: engagement,
        top: 10,
        labels: { title: content.title },
      }),
    };
  },

  sinks: {
    enriched: clickhouse({ table: 'engagement_enriched', orderBy: ['event_ts', 'id'], partitionBy: 'event_ts' }),
    live: redis({
      view: 'top10m',
      key: env('SLUICE_TOP_KEY', 'top_engagement:10min'),
      hash: ['plays', 'finishes', 'clicks', 'seconds'],
    }),
    leaderboard: redisResults({ view: 'leaderboard', key: 'leaderboard' }),
    external: http({
      url: env('SLUICE_EXTERNAL_URL'),
      secret: env('SLUICE_EXTERNAL_SECRET'),
      initialLoad: true,
      maxRows: 5_000,
      inFlight: 6,
    }),
  },
});
