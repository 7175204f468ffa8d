import type { ColumnType } from '../../core/columns/vector.ts';
import { unreachable } from '../../core/unreachable.ts';
import { quote } from '../postgres/source-catalog.ts';

/** A column of a comparison, with its Postgres type. */
export type ComparedColumn = { readonly name: string; readonly type: string };

/** The Postgres type in which values of a column are compared; json as the text that it came in. */
export function comparedType(type: ColumnType): string {
  switch (type) {
    case 'json':
    case 'jsonb':
    case 'other':
    case 'text':
      return 'text collate "C"';
    case 'bool':
    case 'int2':
    case 'int4':
    case 'int8':
    case 'oid':
    case 'float4':
    case 'float8':
    case 'numeric':
    case 'date':
    case 'timestamp':
    case 'timestamptz':
    case 'uuid':
    case 'bytea':
      return type;
    default:
      return unreachable(type);
  }
}

export function columnDefinitions(columns: readonly ComparedColumn[]): string {
  return columns.map(({ name, type }) => `${quote(name)} ${type}`).join(', ');
}

/** A text in SQL. */
export function quoted(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
