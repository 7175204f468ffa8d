/** All that a pipeline definition imports. */
export { definePipeline } from './define/define-pipeline.ts';
export { dimension, postgres, table } from './define/tables.ts';
export {
  bigint,
  boolean,
  bytea,
  date,
  float4,
  float8,
  integer,
  json,
  jsonb,
  numeric,
  other,
  smallint,
  text,
  timestamp,
  timestamptz,
  uuid,
} from './define/columns.ts';
export {
  add,
  and,
  coalesce,
  div,
  eq,
  ge,
  gt,
  isNull,
  le,
  lt,
  match,
  mul,
  ne,
  not,
  or,
  scaled,
  sub,
} from './expressions/build.ts';
export { hopping, rolling, tumbling } from './define/views.ts';
export { avg, count, distinct, max, min, quantile, rate, sum } from './define/measures.ts';
export { clickhouse, env, http, redis, redisResults, results } from './define/sinks.ts';
