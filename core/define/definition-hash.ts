import { createHash } from 'node:crypto';
import type { Pipeline, SinkDefinition } from '../pipeline.ts';

/**
 * Equal for definitions that make the same rows and results in the same places (E3). Settings, addresses and secrets
 * are left out: `reload` may change those.
 */
export function definitionHash(pipeline: Pipeline): string {
  const { name, source, row, views } = pipeline;
  // The order of a row's columns is part of what a sink gets.
  const columns = Object.entries(row);
  const sinks = Object.fromEntries(Object.entries(pipeline.sinks).map(([sinkName, sink]) => [sinkName, lasting(sink)]));
  return createHash('sha256').update(canonical({ name, source, columns, views, sinks })).digest('hex');
}

function lasting(sink: SinkDefinition): object {
  switch (sink.kind) {
    case 'clickhouse':
    case 'redis-live': {
      const { gatherMs: _, ...rest } = sink;
      return rest;
    }
    case 'http':
      return { kind: sink.kind };
    case 'postgres-results':
    case 'redis-results':
      return sink;
  }
}

/** JSON with the keys of objects in order, and 64-bit literals as such. */
function canonical(value: unknown): string {
  if (typeof value === 'bigint') return `{"bigint":"${value}"}`;
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{${entries
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`)
    .join()}}`;
}
