import type { Pipeline, SinkDefinition, Text } from '../pipeline.ts';

/** `outbox` lanes are relays: they publish what the aggregate lane computed. */
export type Lane = { readonly name: string; readonly kind: LaneKind; readonly reads: 'segments' | 'outbox' };
export type LaneKind = 'aggregate' | SinkDefinition['kind'];

/** Every pipeline has the aggregate lane, which also keeps the dimension versions; then one lane a sink, by its name. */
export function lanesOf(pipeline: Pipeline<Text>): readonly Lane[] {
  const sinks = Object.entries(pipeline.sinks).map(([name, { kind }]): Lane => ({
    name,
    kind,
    reads: kind === 'postgres-results' || kind === 'redis-results' ? 'outbox' : 'segments',
  }));
  return [{ name: 'aggregate', kind: 'aggregate', reads: 'segments' }, ...sinks];
}
