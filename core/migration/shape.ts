import type { ColumnType } from '../columns/vector.ts';
import { expressionTypes } from '../define/columns.ts';
import type { Expression } from '../expressions/expression.ts';
import { columnsIn } from '../expressions/expression.ts';
import { nameInSource, type ColumnSchema, type Pipeline, type Table, type Text } from '../pipeline.ts';
import type { SourceColumn } from './source-changes.ts';

/**
 * How the columns of a definition are found in the source now, where that differs from what the definition says: by its
 * table (`events`, or a dimension's name) and its column. What a migration changes is this, never the definition itself.
 */
export type Shape = Readonly<Record<string, Readonly<Record<string, ColumnShape>>>>;

export type ColumnShape = {
  /** Its name in the source, if that is another one. */
  readonly from?: string;
  /** Its names in the source before. */
  readonly was?: readonly string[];
  /** Its type in the source, if that is another one. */
  readonly type?: ColumnType;
  /** It is not read any more. empty: rows still have it, as NULL. removed: rows and sinks are without it. */
  readonly lost?: 'empty' | 'removed';
};

/** The table of a definition that a shape calls so. */
export function tableOf({ source: { events, dimensions } }: Pipeline<Text>, name: string): Table | undefined {
  return name === 'events' ? events : dimensions[name];
}

/** The names by which a shape calls the tables of a definition. */
export function tableNames({ source }: Pipeline<Text>): readonly string[] {
  return ['events', ...Object.keys(source.dimensions)];
}

/** `shape` with these columns of a table as given, whatever was said of them before. */
export function withColumns(shape: Shape, table: string, columns: Readonly<Record<string, ColumnShape>>): Shape {
  return { ...shape, [table]: { ...shape[table], ...columns } };
}

/**
 * The definition as the source has it now. What a shape says of columns that the definition does not have (any more) means
 * nothing, so whoever writes the change into the definition as well gets the same pipeline.
 */
export function reshaped<P extends Pipeline<Text>>(pipeline: P, shape: Shape): P {
  const { events, dimensions } = pipeline.source;
  return {
    ...pipeline,
    source: {
      events: { ...events, columns: columnsOf(events, shape['events']) },
      dimensions: Object.fromEntries(Object.entries(dimensions).map(([name, table]) => [name, { ...table, columns: columnsOf(table, shape[name]) }])),
    },
    row: rowOf(pipeline, shape),
  };
}

function columnsOf(table: Table, shape: Shape[string] = {}): Readonly<Record<string, ColumnSchema>> {
  return Object.fromEntries(
    Object.entries(table.columns).flatMap(([name, schema]): [string, ColumnSchema][] => {
      const { lost, from, type = schema.type } = shape[name] ?? {};
      if (lost === 'removed') return [];
      const found = { ...schema, type, interned: schema.interned && (type === 'text' || type === 'uuid') };
      if (lost === 'empty') return [[name, { ...found, nullable: true, from: null }]];
      return [[name, { ...found, ...(from === undefined || from === name ? {} : { from }) }]];
    }),
  );
}

/** Only columns by themselves change: what is computed of others is refused before (`usesOf`). */
function rowOf(pipeline: Pipeline<Text>, shape: Shape): Readonly<Record<string, Expression>> {
  return Object.fromEntries(
    Object.entries(pipeline.row).flatMap(([name, expression]): [string, Expression][] => {
      if (expression.op !== 'column') return [[name, expression]];
      const { lost, type } = shape[expression.table]?.[expression.column] ?? {};
      if (lost === 'removed') return [];
      return [[name, type === undefined ? expression : { ...expression, type: expressionTypes[type] }]];
    }),
  );
}

/**
 * What a column is to a definition, beside a value that rows carry, in words. `bound`: neither its type can be another one
 * nor can it be empty. `read`: something is computed from it.
 */
export type Uses = { readonly bound: readonly string[]; readonly read: readonly string[] };

export function usesOf(pipeline: Pipeline<Text>, table: string, column: string): Uses {
  const { source: { events, dimensions }, row, views, sinks } = pipeline;
  const isOfEvents = table === 'events';
  const reads = (expression: Expression | undefined) => expression !== undefined && columnsIn(expression).some((each) => each.table === table && each.column === column);
  const named = <T>(all: Readonly<Record<string, T>>, isIt: (each: T) => boolean, what: (name: string) => string) => Object.entries(all).flatMap(([name, each]) => (isIt(each) ? [what(name)] : []));
  return {
    bound: [
      ...(tableOf(pipeline, table)!.key === column ? [`the key of ${table}`] : []),
      ...(isOfEvents && events.eventTime === column ? ['the event time'] : []),
      ...(isOfEvents ? named(dimensions, ({ on }) => on === column, (name) => `what dimension ${name} hangs on`) : []),
      ...(isOfEvents ? named(sinks, (sink) => sink.kind === 'clickhouse' && [...sink.orderBy, sink.partitionBy].includes(column), (name) => `what the table of sink ${name} is sorted by`) : []),
    ],
    read: [
      ...named(row, (expression) => expression.op !== 'column' && reads(expression), (name) => `what ${name} is computed from`),
      ...(isOfEvents ? named(views, ({ key }) => key === column, (name) => `the key of view ${name}`) : []),
      ...named(views, ({ where, measures }) => reads(where) || Object.values(measures).some((measure) => 'of' in measure && reads(measure.of)), (name) => `what view ${name} counts`),
      ...named(views, ({ labels }) => Object.values(labels).some((label) => label.dimension === table && label.column === column), (name) => `a label of view ${name}`),
    ],
  };
}

/** Whether rows of these columns can be read as the pipeline has the table. */
export function fits(table: Table, columns: readonly Pick<SourceColumn, 'name' | 'type'>[]): boolean {
  return Object.entries(table.columns).every(([column, { type }]) => {
    const name = nameInSource(table, column);
    return name === undefined || columns.some((each) => each.name === name && each.type === type);
  });
}
