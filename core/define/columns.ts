import type { ColumnType } from '../columns/vector.ts';
import type { ExpressionType, Typed } from '../expressions/expression.ts';
import type { ColumnSchema } from '../pipeline.ts';

/** A column of a source table, of Postgres type T. NOT NULL unless it says nullable(). */
export type Column<T extends ColumnType = ColumnType> = {
  readonly schema: ColumnSchema & { readonly type: T };
  nullable(): Column<T>;
  /** For text and uuid with few distinct values: kept as a dictionary, which is faster and smaller. */
  readonly interned: T extends 'text' | 'uuid' ? () => Column<T> : never;
};

export const bigint = () => column('int8');
export const integer = () => column('int4');
export const smallint = () => column('int2');
/** text, varchar, char, and enums. A domain is declared as what it is made of. */
export const text = () => column('text');
export const uuid = () => column('uuid');
export const timestamptz = () => column('timestamptz');
export const timestamp = () => column('timestamp');
export const date = () => column('date');
export const boolean = () => column('bool');
export const float8 = () => column('float8');
export const float4 = () => column('float4');
export const numeric = () => column('numeric');
export const json = () => column('json');
export const jsonb = () => column('jsonb');
export const bytea = () => column('bytea');
/**
 * Every other type (arrays, ranges, intervals, composites): the text that Postgres writes for it, as a value that only
 * row sinks see. One such column lets the source send all columns as text, which costs both sides more.
 */
export const other = () => column('other');

/** Of which expression type a column's values are. */
export const expressionTypes = {
  bool: 'bool',
  int2: 'int',
  int4: 'int',
  int8: 'int',
  oid: 'opaque',
  float4: 'float',
  float8: 'float',
  numeric: 'decimal',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  uuid: 'uuid',
  text: 'text',
  json: 'json',
  jsonb: 'json',
  bytea: 'bytes',
  other: 'opaque',
} as const satisfies Record<ColumnType, ExpressionType>;

/** The columns of a table as expressions: what `events` and the dimensions are in enrich and views. */
export type ColumnsOf<Table extends string, C extends Readonly<Record<string, Column>>> = {
  readonly [K in keyof C & string]: ColumnReference<Table, K, C[K]['schema']['type']>;
};

type ColumnReference<Table extends string, Name extends string, T extends ColumnType> = Typed<
  (typeof expressionTypes)[T]
> & {
  readonly op: 'column';
  readonly table: Table;
  readonly column: Name;
};

function column<T extends ColumnType>(type: T, nullable = false, interned = false): Column<T> {
  const made: Omit<Column<T>, 'interned'> & { interned: () => Column<T> } = {
    schema: { type, nullable, interned },
    nullable: () => column(type, true, interned),
    interned: () => {
      if (type !== 'text' && type !== 'uuid')
        throw new TypeError(`a ${type} column cannot be interned: only text and uuid can`);
      return column(type, nullable, true);
    },
  };
  return made as Column<T>;
}
