import type { ColumnSchema } from '../pipeline.ts';
import { unreachable } from '../unreachable.ts';
import { ByteaColumn, BytesColumn, JsonbColumn, NumericColumn } from './bytes-columns.ts';
import type { Column } from './column.ts';
import { InternedBytesColumn, InternedUuidColumn } from './interned-columns.ts';
import { BoolColumn, DateColumn, Float4Column, Float8Column, Int2Column, Int4Column, OidColumn } from './number-columns.ts';
import { Int8Column, TimestampColumn, UuidColumn } from './wide-columns.ts';

/** A column for `capacity` rows; it can `reserve` more. */
export function makeColumn(schema: Pick<ColumnSchema, 'type' | 'interned'>, capacity: number): Column {
  const { type, interned } = schema;
  switch (type) {
    case 'bool':
      return new BoolColumn(capacity);
    case 'int2':
      return new Int2Column(capacity);
    case 'int4':
      return new Int4Column(capacity);
    case 'int8':
      return new Int8Column(capacity);
    case 'oid':
      return new OidColumn(capacity);
    case 'float4':
      return new Float4Column(capacity);
    case 'float8':
      return new Float8Column(capacity);
    case 'numeric':
      return new NumericColumn(capacity);
    case 'date':
      return new DateColumn(capacity);
    case 'timestamp':
    case 'timestamptz':
      return new TimestampColumn(capacity, type);
    case 'uuid':
      return interned ? new InternedUuidColumn(capacity) : new UuidColumn(capacity);
    case 'jsonb':
      return new JsonbColumn(capacity);
    case 'bytea':
      return new ByteaColumn(capacity);
    case 'text':
      return interned ? new InternedBytesColumn((rows) => new BytesColumn('text', rows), capacity) : new BytesColumn(type, capacity);
    case 'json':
    case 'other':
      return new BytesColumn(type, capacity);
    default:
      return unreachable(type);
  }
}
