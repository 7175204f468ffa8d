import { createHash } from 'node:crypto';
import type { Expression } from '../expressions/expression.ts';
import { reshaped, type Shape } from '../migration/shape.ts';
import type { Pipeline, SinkDefinition, Text } from '../pipeline.ts';
import { paneSetsOf } from '../views/pane-sets.ts';
import { isPublished } from '../views/windows.ts';

/** Equal for definitions that make the same rows and results in the same places (E3). */
export function definitionHash(pipeline: Pipeline): string {
  const { paneSets: _, ...said } = lastingDefinition(pipeline);
  return createHash('sha256').update(canonical(said)).digest('hex');
}

/** Equal for definitions of whose views an aggregate lane makes the same, of the same panes. A release that keeps the same in other ways has to make another one of it. */
export function viewsHash(pipeline: Pick<Pipeline, 'views' | 'paneSets'> & Pick<LastingDefinition, 'sinks'>): string {
  const sets = paneSetsOf(pipeline).map(({ views, ...set }) => [set, views.map(({ name }) => [name, isPublished(pipeline, name)])]);
  return createHash('sha256').update(canonical([pipeline.views, sets])).digest('hex');
}

/** What makes rows and results, and where they go. Settings, addresses and secrets are left out: `reload` may change those. */
export type LastingDefinition = Pick<Pipeline, 'name' | 'source' | 'views' | 'paneSets'> & {
  /** The order of a row's columns is part of what a sink gets. */
  readonly columns: readonly (readonly [string, Expression])[];
  readonly sinks: Readonly<Record<string, LastingSink>>;
};
export type LastingSink = Without<Exclude<SinkDefinition, { kind: 'http' }>, 'gatherMs' | 'onBudget'> | { readonly kind: 'http' };
type Without<T, K extends string> = T extends unknown ? Omit<T, K> : never;

export function lastingDefinition(pipeline: Pipeline): LastingDefinition {
  const { name, source, row, views, paneSets } = pipeline;
  const columns = Object.entries(row);
  const sinks = Object.fromEntries(Object.entries(pipeline.sinks).map(([sinkName, sink]) => [sinkName, lasting(sink)]));
  return { name, source, columns, views, sinks, ...(paneSets === undefined ? {} : { paneSets }) };
}

/**
 * What is on record of a pipeline (`definitionJson`) as a pipeline again, for workers whose pipelines/ has another one by now. What is not on
 * record is that of `declared`, where it has the same sink.
 */
export function recordedPipeline(record: LastingDefinition, declared: Pipeline): Pipeline {
  const { name, source, columns, views, sinks, paneSets } = recordedDefinition(record);
  const recorded = Object.entries(sinks).map(([sinkName, sink]): [string, SinkDefinition] => {
    const now = declared.sinks[sinkName];
    if (sink.kind === 'http') return [sinkName, now?.kind === 'http' ? now : { kind: 'http', url: notOnRecord, secret: notOnRecord, initialLoad: false, maxRows: 1, inFlight: 1, gatherMs: 0 }];
    if (sink.kind === 'postgres-results' || sink.kind === 'redis-results') return [sinkName, sink];
    return [sinkName, { ...sink, gatherMs: now && 'gatherMs' in now ? now.gatherMs : 0, ...(now && 'onBudget' in now ? { onBudget: now.onBudget! } : {}) }];
  });
  return { name, source, row: Object.fromEntries(columns), views, sinks: Object.fromEntries(recorded), settings: declared.settings, ...(paneSets === undefined ? {} : { paneSets }) };
}

/** The address of a sink that pipelines/ does not have any more: it is kept nowhere, as its secret is not. */
export const notOnRecord = 'not on record';

/** With 64-bit literals as such, which JSON does not have. */
export function recordedDefinition(record: LastingDefinition): LastingDefinition {
  return revived(record) as LastingDefinition;
}

function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived);
  if (typeof value !== 'object' || value === null) return value;
  const { bigint, ...rest } = value as { readonly bigint?: unknown };
  if (typeof bigint === 'string' && Object.keys(rest).length === 0) return BigInt(bigint);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, revived(each)]));
}

/** All that a definition says, as it was written, as JSON. Not its secrets: those as something that changes with them. */
export function writtenDefinition(pipeline: Pipeline<Text>): string {
  const { row, ...rest } = pipeline;
  const sinks = Object.fromEntries(Object.entries(pipeline.sinks).map(([name, sink]) => [name, 'secret' in sink && typeof sink.secret === 'string' ? { ...sink, secret: digestOf(sink.secret) } : sink]));
  return definitionJson({ ...rest, columns: Object.entries(row), sinks });
}

/** Of what `writtenDefinition` says, without what `reload` may change, and with what migrations have made of its columns. */
export function writtenLasting(written: string, shape: Shape): object {
  const { columns, ...rest } = JSON.parse(written) as Omit<Pipeline<Text>, 'row'> & { readonly columns: readonly (readonly [string, Expression])[] };
  const { settings: _, sinks, row, ...found } = reshaped({ ...rest, row: Object.fromEntries(columns) }, shape);
  const kept = Object.entries(sinks).map(([name, { gatherMs: __, onBudget: ___, ...sink }]: [string, { readonly kind: string; readonly gatherMs?: number; readonly onBudget?: string }]) => [name, sink.kind === 'http' ? { kind: sink.kind } : sink]);
  return { ...found, columns: Object.entries(row), sinks: Object.fromEntries(kept) as object };
}

/** What is put on record of a pipeline as it runs. */
export type LoadedDefinition = { readonly hash: string; /** `lastingDefinition`, as JSON. */ readonly json: string };

export function loadedDefinition(pipeline: Pipeline): LoadedDefinition {
  return { hash: definitionHash(pipeline), json: definitionJson(lastingDefinition(pipeline)) };
}

/** 64-bit literals as such. */
export function definitionJson(definition: object): string {
  return JSON.stringify(definition, (_, value: unknown) => (typeof value === 'bigint' ? { bigint: String(value) } : value));
}

function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex').slice(0, 12);
}

function lasting(sink: SinkDefinition): LastingSink {
  switch (sink.kind) {
    case 'clickhouse':
    case 'redis-live': {
      const { gatherMs: _, onBudget: __, ...rest } = sink;
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
