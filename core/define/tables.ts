import type { Column } from './columns.ts';

export type Columns = Readonly<Record<string, Column>>;
type Name<C> = keyof C & string;

/** The table whose changes are the events. */
export type EventTableDefinition<C extends Columns = Columns> = {
  readonly relation: string;
  readonly columns: C;
  readonly key: string;
  readonly eventTime: string;
  readonly appendOnly: boolean;
};

/** A table whose rows enrich events: the row whose `key` equals the event's column `on`. */
export type DimensionDefinition<C extends Columns = Columns, On extends string = string> = {
  readonly relation: string;
  readonly columns: C;
  readonly key: string;
  readonly on: On;
};

/**
 * The event table, schema `public` unless the relation says another. `appendOnly`: updates and deletes never happen, one
 * that does parks the pipeline; otherwise the table needs REPLICA IDENTITY FULL.
 */
export function table<C extends Columns>(
  relation: string,
  columns: C,
  options: {
    readonly key: NoInfer<Name<C>>;
    readonly eventTime: NoInfer<TimeColumn<C>>;
    readonly appendOnly?: boolean;
  },
): EventTableDefinition<C> {
  return {
    relation: qualified(relation),
    columns,
    key: options.key,
    eventTime: options.eventTime,
    appendOnly: options.appendOnly ?? false,
  };
}

export function dimension<C extends Columns, const On extends string>(
  relation: string,
  columns: C,
  options: { readonly key: NoInfer<Name<C>>; readonly on: On },
): DimensionDefinition<C, On> {
  return { relation: qualified(relation), columns, key: options.key, on: options.on };
}

/** A source: the table `events`, and any number of dimensions by name. */
export function postgres<T extends Tables>(tables: T & FittingDimensions<T>): Source<T> {
  const { events, ...dimensions } = tables as Tables;
  return { tables, events, dimensions: dimensions as Readonly<Record<string, DimensionDefinition>> };
}

export type Source<T extends Tables = Tables> = {
  /** As given, for its types. */
  readonly tables: T;
  readonly events: EventTableDefinition;
  readonly dimensions: Readonly<Record<string, DimensionDefinition>>;
};

export type Tables = { readonly events: EventTableDefinition };

/** Every table beside `events` is a dimension that hangs on a column of `events`. */
type FittingDimensions<T extends Tables> = {
  readonly [K in Exclude<keyof T, 'events'>]: DimensionDefinition<Columns, Name<T['events']['columns']>>;
};

type TimeColumn<C extends Columns> = {
  [K in Name<C>]: C[K]['schema']['type'] extends 'timestamptz' | 'timestamp' ? K : never;
}[Name<C>];

function qualified(relation: string): string {
  return relation.includes('.') ? relation : `public.${relation}`;
}
