import { bigint, boolean, bytea, clickhouse, count, date, definePipeline, dimension, distinct, env, float4, float8, hopping, http, integer, json, jsonb, max, min, numeric, other, postgres, quantile, redis, redisResults, results, rolling, smallint, sum, table, text, timestamp, timestamptz, tumbling, uuid } from '../../core/define-pipeline.ts';
import { pipelines } from '../../pipelines/index.ts';
import type { Pipeline, Text } from '../../core/pipeline.ts';

/** As long as a name can be. */
export const longName = 'long_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx';

/**
 * A table as no one would make it: every type, hash partitions, names that must be quoted. The programs of the laboratory
 * know this pipeline beside those in pipelines/: whoever imports this file does.
 */
const laboratory = definePipeline({
  name: 'laboratory',

  source: postgres({
    events: table(
      'public.Laboratory',
      {
        Id: bigint(),
        'Event Time': timestamptz(),
        kind: text().nullable().interned(),
        amount: integer().nullable(),
        doubled: integer().nullable(),
        digits: numeric().nullable(),
        naive: timestamp().nullable(),
        day: date().nullable(),
        plain_json: json().nullable(),
        binary_json: jsonb().nullable(),
        bytes: bytea().nullable(),
        small: smallint().nullable(),
        single: float4().nullable(),
        double: float8().nullable(),
        flag: boolean().nullable(),
        unique_id: uuid().nullable(),
        email: text().nullable(),
        code: text().nullable(),
        tags: other().nullable(),
        matrix: other().nullable(),
        span: other().nullable(),
        took: other().nullable(),
        place: other().nullable(),
        'Naïve "quoted" \\ name': text().nullable(),
        [longName]: text().nullable(),
      },
      { key: 'Id', eventTime: 'Event Time' },
    ),
    kinds: dimension('public.Kinds', { Name: text(), 'Label of': text().nullable(), since: other().nullable() }, { key: 'Name', on: 'kind' }),
  }),

  enrich: ({ kinds }) => ({ label: kinds['Label of'], since: kinds.since }),

  views: ({ events, kinds }) => ({
    busiest: tumbling('10s', { key: events.kind, measures: { rows: count(), amounts: sum(events.amount) }, rankBy: 'rows', top: 5, labels: { label: kinds['Label of'] } }),
    latest: rolling('1m', { pane: '10s', key: events.kind, measures: { rows: count() }, top: 5 }),
    // in the same panes, so that the live structure is made of some that have lost an extreme
    extremes: tumbling('10s', { key: events.kind, measures: { greatest: max(events.double, { scale: 3 }), least: min(events.small), digits: max(events.digits, { scale: 2 }) }, rankBy: 'greatest', top: 5 }),
    spread: hopping('20s', { every: '10s', key: events.kind, measures: { low: quantile(events.small, 0.3), high: quantile(events.small, 0.9), rows: count() }, rankBy: 'rows', top: 5 }),
    addresses: tumbling('10s', { key: events.flag, measures: { addresses: distinct(events.email) }, top: 5 }),
  }),

  sinks: {
    rows: clickhouse({ table: 'laboratory_rows', orderBy: ['Event Time', 'Id'], partitionBy: 'Event Time' }),
    live: redis({ view: 'latest', key: 'laboratory', hash: ['rows'] }),
    windows: results({ view: 'busiest', table: 'results.laboratory' }),
    extremes: results({ view: 'extremes', table: 'results.laboratory_extremes' }),
    spread: redisResults({ view: 'spread', key: 'laboratory:spread' }),
    addresses: results({ view: 'addresses', table: 'results.laboratory_addresses' }),
    external: http({ url: env('SLUICE_EXTERNAL_URL'), secret: env('SLUICE_EXTERNAL_SECRET'), initialLoad: true }),
  },
});

(pipelines as Record<string, Pipeline<Text>>)['laboratory'] = laboratory;
