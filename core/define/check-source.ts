import type { ColumnType } from '../columns/vector.ts';
import type { ColumnSchema, Pipeline, Table, Text } from '../pipeline.ts';
import { expressionTypes } from './columns.ts';
import { nameProblems } from './invalid-pipeline.ts';

/** What is wrong with the tables, by themselves and with each other. */
export function sourceProblems({ events, dimensions }: Pipeline<Text>['source']): string[] {
  const problems = [...tableProblems('events', events), ...nameProblems('dimension', Object.keys(dimensions))];
  const time = events.columns[events.eventTime];
  if (!time) problems.push(`events: the event time ${events.eventTime} is not one of its columns (${names(events)})`);
  else if (time.type !== 'timestamptz' && time.type !== 'timestamp')
    problems.push(
      `events: the event time ${events.eventTime} is a ${time.type}; it must be a timestamptz or timestamp`,
    );
  for (const [name, dimension] of Object.entries(dimensions)) {
    problems.push(...tableProblems(name, dimension));
    const on = events.columns[dimension.on];
    const key = dimension.columns[dimension.key];
    if (!on)
      problems.push(
        `dimension ${name}: it hangs on ${dimension.on}, which is not a column of events (${names(events)})`,
      );
    else if (key && on.type !== key.type)
      problems.push(
        `dimension ${name}: its key ${dimension.key} is a ${key.type}, but events.${dimension.on} is a ${on.type}`,
      );
    if (dimension.relation === events.relation)
      problems.push(`dimension ${name}: ${dimension.relation} is the event table`);
  }
  return problems;
}

const keyTypes: ReadonlySet<ColumnType> = new Set<ColumnType>(['int2', 'int4', 'int8', 'uuid', 'text', 'bool']);

/** Types whose text is equal exactly if the values are. */
export function canBeKey(column: ColumnSchema): boolean {
  return keyTypes.has(column.type);
}

function tableProblems(name: string, table: Table): string[] {
  const problems: string[] = [];
  if (!/^[^.\s]+\.[^.\s]+$/.test(table.relation))
    problems.push(`${name}: ${JSON.stringify(table.relation)} is not a relation; write 'table' or 'schema.table'`);
  for (const [column, { type }] of Object.entries(table.columns)) {
    if (!(type in expressionTypes)) problems.push(`${name}.${column}: the type ${type} is not supported`);
    if (column.startsWith('_'))
      problems.push(`${name}.${column}: names that begin with _ are kept for the columns that sinks add`);
  }
  const key = table.columns[table.key];
  if (!key) problems.push(`${name}: the key ${table.key} is not one of its columns (${names(table)})`);
  else if (!canBeKey(key))
    problems.push(`${name}: the key ${table.key} is a ${key.type}; a key is text, uuid, an integer or a boolean`);
  else if (key.nullable) problems.push(`${name}: the key ${table.key} is nullable; a key must be NOT NULL`);
  return problems;
}

function names(table: Table): string {
  return Object.keys(table.columns).join(', ');
}
