import type { Pipeline, Settings, SinkDefinition, Text } from '../../core/pipeline.ts';

export type Changes = {
  readonly settings?: Partial<Settings>;
  /** Of sinks that gather: the live one follows at once, and goes on to. */
  readonly gatherMs?: number;
  /** Rows of a message of the HTTP sink. */
  readonly maxRows?: number;
  readonly views?: Pipeline<Text>['views'];
  readonly sinks?: Pipeline<Text>['sinks'];
};

/** The same pipeline under another name, with changes, and with destinations of its own but for the HTTP receiver. */
export function variant(definition: Pipeline<Text>, name: string, { settings, gatherMs, maxRows, views, sinks }: Changes = {}): Pipeline<Text> {
  const renamed = Object.entries(sinks ?? definition.sinks).map(([sink, each]) => [sink, { ...withPlace(each, name, sink), ...(gatherMs !== undefined && 'gatherMs' in each && each.gatherMs > 0 && { gatherMs }), ...(maxRows !== undefined && each.kind === 'http' && { maxRows }) }] as const);
  return { ...definition, name, views: views ?? definition.views, sinks: Object.fromEntries(renamed), settings: { ...definition.settings, ...settings } };
}

function withPlace(sink: SinkDefinition<Text>, name: string, lane: string): SinkDefinition<Text> {
  switch (sink.kind) {
    case 'clickhouse':
      return { ...sink, table: `${name}_${lane}` };
    case 'redis-live':
    case 'redis-results':
      return { ...sink, key: `${name}:${lane}` };
    case 'postgres-results':
      return { ...sink, table: `results.${name}_${lane}` };
    case 'http':
      return sink;
  }
}
