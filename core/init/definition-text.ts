import type { ColumnType } from '../columns/vector.ts';
import { groupingColumn, isInterned } from './grouping.ts';
import { inComment, literal, member, property } from './names.ts';
import { partitionColumn, type SinkKind } from './questions.ts';
import { relationOf, type ColumnFacts, type SourceFacts, type TableFacts } from './source-facts.ts';
import { declarable, leftOutBecause } from './table-fit.ts';

/** All that was chosen. */
export type Choice = {
  readonly name: string;
  readonly table: TableFacts;
  readonly key: ColumnFacts;
  readonly eventTime: ColumnFacts;
  readonly appendOnly: boolean;
  readonly sinks: readonly SinkKind[];
};

const viewName = 'per_minute';

/** The file of a pipeline. `definePath`: where it imports core/define-pipeline.ts from. */
export function definitionText(choice: Choice, facts: SourceFacts, definePath: string): string {
  const { name, table, key } = choice;
  const group = groupingColumn(table, key.name, facts);
  const body = [...sourceLines(choice, facts), '', ...(group ? [...viewLines(group), ''] : noViewLines(table)), ...sinkLines(choice, facts)];
  return `${[
    ...importLines(importsOf(choice, facts, group), definePath),
    '',
    `/** Written by \`./sluice init ${name}\` from the table ${inComment(relationOf(table))}. It is yours: the compiler says what cannot be. */`,
    'export default definePipeline({',
    `  name: ${literal(name)},`,
    '',
    ...body.map((line) => (line === '' ? '' : `  ${line}`)),
    '});',
  ].join('\n')}\n`;
}

function sourceLines({ table, key, eventTime, appendOnly }: Choice, facts: SourceFacts): string[] {
  const leftOut = table.columns.flatMap((column) => {
    const because = leftOutBecause(column, facts);
    return because === undefined ? [] : [`      // left out: ${inComment(`${column.name} (${column.typeName}): ${because}`)}`];
  });
  const relation = table.schema === 'public' ? table.name : relationOf(table);
  return [
    'source: postgres({',
    '  events: table(',
    `    ${literal(relation)},`,
    '    // A column that nobody needs can go, and may then change. nullable(): it can be NULL.',
    '    // interned(): few distinct values, kept as a dictionary.',
    '    {',
    ...declarable(table, facts).map((column) => `      ${property(column.name)}: ${columnCall(column)},${column.type === 'other' ? ` // ${inComment(column.typeName)} as text; without it the source sends all columns in binary, which costs less` : ''}`),
    ...leftOut,
    '    },',
    "    // key: unique in the source. eventTime: when it happened, which decides a row's windows.",
    ...(appendOnly ? ['    // appendOnly: an update or delete parks the pipeline; without it the table needs REPLICA IDENTITY FULL.'] : []),
    `    { key: ${literal(key.name)}, eventTime: ${literal(eventTime.name)}${appendOnly ? ', appendOnly: true' : ''} },`,
    '  ),',
    '  // A table whose rows enrich these, see pipelines/engagement.ts:',
    ...dimensionLines(table, facts),
    '}),',
  ];
}

function dimensionLines(table: TableFacts, facts: SourceFacts): string[] {
  const on = declarable(table, facts).find(({ references }) => references !== null);
  const referred = facts.tables.find(({ sql }) => sql === on?.references);
  const key = referred?.primaryKey[0] ?? 'id';
  const keyType = functionOf(on?.type ?? 'int8');
  return [`  // ${inComment(`more: dimension(${literal(referred ? relationOf(referred) : 'other_table')}, { ${property(key)}: ${keyType}(), … }, { key: ${literal(key)}, on: ${literal(on?.name ?? 'other_id')} }),`)}`];
}

function viewLines(group: ColumnFacts): string[] {
  const measure = group.name === 'events' ? 'rows' : 'events';
  const uncounted = group.nullable ? ' Rows without one are not counted.' : '';
  return [
    'views: ({ events }) => ({',
    `  // The ten of ${inComment(group.name)} with the most rows in each minute.${uncounted}`,
    "  // Other windows: hopping('10m', { every: '1m', … }), rolling; other measures: sum, avg, min, max, rate, quantile, distinct (core/define-pipeline.ts).",
    '  // where: says which rows count; labels: columns of a dimension, shown beside the key.',
    `  ${viewName}: tumbling('1m', {`,
    `    key: ${member('events', group.name)},`,
    `    measures: { ${measure}: count() },`,
    '    top: 10,',
    '  }),',
    '}),',
  ];
}

function noViewLines(table: TableFacts): string[] {
  return [`// No column of ${inComment(relationOf(table))} is one to count by at once; for windows write views, as in pipelines/trending.ts.`];
}

function sinkLines(choice: Choice, facts: SourceFacts): string[] {
  const { name, table, key, eventTime, sinks } = choice;
  const partition = partitionColumn(table, eventTime, facts);
  const lines: Readonly<Record<SinkKind, () => string[]>> = {
    clickhouse: () => [
      '  // Every row: sorted by orderBy, a partition for each day of partitionBy. NOT NULL columns of the table only.',
      '  rows: clickhouse({',
      `    table: ${literal(name)},`,
      `    orderBy: [${literal(partition!.name)}, ${literal(key.name)}],`,
      `    partitionBy: ${literal(partition!.name)},`,
      '  }),',
    ],
    redis: () => ['  // The newest window, as a sorted set.', `  top: redisResults({ view: ${literal(viewName)}, key: ${literal(`${name}:top`)} }),`],
    results: () => ['  // Each window as rows of a table in the state database.', `  results: results({ view: ${literal(viewName)}, table: ${literal(`results.${name}`)} }),`],
  };
  return ['sinks: {', ...sinks.flatMap((kind) => lines[kind]()), '},'];
}

function importsOf({ sinks, table }: Choice, facts: SourceFacts, group: ColumnFacts | undefined): string[] {
  const names = ['definePipeline', 'postgres', 'table', ...declarable(table, facts).map(({ type }) => functionOf(type)), ...(group ? ['tumbling', 'count'] : []), ...sinks.map((kind) => ({ clickhouse: 'clickhouse', redis: 'redisResults', results: 'results' })[kind])];
  return [...new Set(names)].toSorted();
}

function importLines(names: readonly string[], from: string): string[] {
  const line = `import { ${names.join(', ')} } from ${literal(from)};`;
  return line.length <= 120 ? [line] : ['import {', ...names.map((name) => `  ${name},`), `} from ${literal(from)};`];
}

function columnCall(column: ColumnFacts): string {
  return `${functionOf(column.type)}()${column.nullable ? '.nullable()' : ''}${isInterned(column) ? '.interned()' : ''}`;
}

function functionOf(type: ColumnType): string {
  return functions[type] ?? 'other';
}

/** What core/define/columns.ts calls the types; an oid has no name there. */
const functions = {
  bool: 'boolean',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  oid: undefined,
  float4: 'float4',
  float8: 'float8',
  numeric: 'numeric',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  uuid: 'uuid',
  text: 'text',
  json: 'json',
  jsonb: 'jsonb',
  bytea: 'bytea',
  other: 'other',
} as const satisfies Record<ColumnType, string | undefined>;
