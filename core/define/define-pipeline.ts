import type { Expression } from '../expressions/expression.ts';
import { defaultSettings } from '../pipeline.ts';
import type { ColumnSchema, Pipeline, Settings, Table, Text, View } from '../pipeline.ts';
import { sinksProblems } from './check-sinks.ts';
import { sourceProblems } from './check-source.ts';
import { viewsProblems } from './check-views.ts';
import { InvalidPipeline, nameProblems } from './invalid-pipeline.ts';
import type { Columns, DimensionDefinition, Source, Tables } from './tables.ts';
import { expressionTypes } from './columns.ts';
import type { ColumnsOf } from './columns.ts';
import type { FittingSink } from './sinks.ts';
import type { ViewDefinition } from './views.ts';

type Name<T> = keyof T & string;

/** The tables of a source as columns to build expressions of. */
export type Scope<T extends Tables> = {
  readonly [K in Name<T>]: T[K] extends { readonly columns: infer C extends Columns } ? ColumnsOf<K, C> : never;
};

/**
 * A pipeline: what it reads, how rows are enriched, what is aggregated, where it all goes. Everything that can be known
 * from the definition alone is checked here, by the compiler where it can be; InvalidPipeline says what is wrong.
 */
export function definePipeline<
  T extends Tables,
  R extends Readonly<Record<string, Expression>>,
  V extends Readonly<Record<string, ViewDefinition>>,
>(definition: {
  /** Lower case; also names the replication slot, the publication and the workflow. */
  readonly name: string;
  readonly source: Source<T>;
  /** Columns that every row gets after those of the event table. */
  readonly enrich?: (tables: Scope<T>) => R;
  readonly views?: (tables: Scope<T>) => V;
  readonly sinks: Readonly<Record<string, FittingSink<Name<T['events']['columns']>, NoInfer<V>>>>;
  readonly settings?: Partial<Settings>;
}): Pipeline<Text> {
  const { name, source, sinks, settings } = definition;
  const scope = scopeOf(source) as Scope<T>;
  const views: Readonly<Record<string, ViewDefinition>> = definition.views?.(scope) ?? {};
  const pipeline: Pipeline<Text> = {
    name,
    source: {
      events: { ...source.events, columns: schemasOf(source.events) },
      dimensions: mapValues(source.dimensions, plainDimension),
    },
    row: { ...(scope as { events: Readonly<Record<string, Expression>> }).events, ...definition.enrich?.(scope) },
    views: mapValues(views, plainView),
    sinks: sinks as Pipeline<Text>['sinks'],
    settings: { ...defaultSettings, ...settings },
  };
  const problems = [
    ...nameProblems('pipeline', [name]),
    ...sourceProblems(pipeline.source),
    ...rowProblems(pipeline),
    ...viewsProblems(views, pipeline.source),
    ...sinksProblems(pipeline),
    ...settingsProblems(pipeline.settings),
  ];
  if (problems.length > 0) throw new InvalidPipeline(name, problems);
  return pipeline;
}

function plainDimension(dimension: DimensionDefinition): Table & { on: string } {
  return { ...dimension, columns: schemasOf(dimension) };
}

function plainView(view: ViewDefinition): View {
  const { window, where, measures, rankBy, top } = view;
  const labels = mapValues(view.labels, (label) => ({
    dimension: reference(label).table,
    column: reference(label).column,
  }));
  return { window, key: reference(view.key).column, where, measures, rank: { by: rankBy, top }, labels };
}

/** What is not a column is found by viewsProblems. */
function reference(expression: Expression): { readonly table: string; readonly column: string } {
  return expression.op === 'column' ? expression : { table: '', column: '' };
}

/** The event table's columns stand for themselves; sinks and tombstones rely on it. */
function rowProblems({ row, source: { events } }: Pipeline<Text>): string[] {
  return Object.entries(row).flatMap(([name, expression]) => {
    const itself = expression.op === 'column' && expression.table === 'events' && expression.column === name;
    if (name in events.columns && !itself)
      return [`enrich: ${name} is a column of events already; give the enriched column another name`];
    return name in events.columns ? [] : nameProblems('enriched column', [name]);
  });
}

function settingsProblems(settings: Settings): string[] {
  const { spoolBudgetBytes, segmentBytes } = settings;
  const problems = Object.entries(settings).flatMap(([name, value]) => {
    if (!(name in defaultSettings))
      return [`settings: there is no setting ${name}; there are ${Object.keys(defaultSettings).join(', ')}`];
    const isOfTheInstance = name === 'heartbeatMs' && value === undefined;
    return isOfTheInstance || (Number.isSafeInteger(value) && value! >= 0)
      ? []
      : [`settings: ${name} is ${value}; it must be a whole number, not negative`];
  });
  // the newest segment always stays: alone it must never hold up the stream
  if (spoolBudgetBytes < segmentBytes * 4)
    problems.push(`settings: spoolBudgetBytes is ${spoolBudgetBytes}; it must be at least four times segmentBytes, ${segmentBytes * 4}`);
  return problems;
}

function schemasOf(table: { readonly columns: Columns }): Readonly<Record<string, ColumnSchema>> {
  return mapValues(table.columns, (column) => column.schema);
}

function scopeOf(source: Source): Readonly<Record<string, Readonly<Record<string, Expression>>>> {
  const tables: Readonly<Record<string, { readonly relation: string; readonly columns: Columns }>> = {
    events: source.events,
    ...source.dimensions,
  };
  const columnsOf = (table: string) =>
    Object.fromEntries(
      Object.entries(tables[table]!.columns).map(([column, { schema }]) => [
        column,
        { op: 'column', table, column, type: expressionTypes[schema.type] } satisfies Expression,
      ]),
    );
  return namesOnly(
    Object.fromEntries(Object.entries(tables).map(([table, { relation }]) => [table, namesOnly(columnsOf(table), `${table} (${relation})`, 'column')])),
    'the source',
    'table',
  );
}

/** Reads as `members`; a name that the compiler would not accept, which runs all the same, throws with those that there are. */
function namesOnly<T>(members: Readonly<Record<string, T>>, owner: string, kind: string): Readonly<Record<string, T>> {
  return new Proxy(members, {
    get(target, name) {
      // `then` and `toJSON` are asked for by the language
      if (typeof name === 'string' && !(name in target) && name !== 'then' && name !== 'toJSON')
        throw new TypeError(`${owner} has no ${kind} ${name}; it has ${Object.keys(target).join(', ')}`);
      return Reflect.get(target, name) as T;
    },
  });
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
