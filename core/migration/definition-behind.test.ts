import { expect, test } from 'vitest';
import { bigint, clickhouse, definePipeline, dimension, integer, postgres, table, text, timestamptz } from '../define-pipeline.ts';
import { definitionBehind } from './definition-behind.ts';
import type { SourceChange } from './source-changes.ts';

const lines = definePipeline({
  name: 'lines',
  source: postgres({
    events: table('lines', { id: bigint(), at: timestamptz(), page: bigint(), note: text().nullable(), size: integer().nullable() }, { key: 'id', eventTime: 'at' }),
    pages: dimension('pages', { id: bigint(), note: text().nullable() }, { key: 'id', on: 'page' }),
  }),
  sinks: { rows: clickhouse({ table: 'lines', orderBy: ['at', 'id'], partitionBy: 'at' }) },
});
const renamed = (column: string, to: string): SourceChange => ({ kind: 'renamed', column, to, type: 'text' });
const dropped = (column: string): SourceChange => ({ kind: 'dropped', column });
const added = (column: string, type: 'text' | 'int8' = 'text'): SourceChange => ({ kind: 'added', column, type, typeName: type === 'int8' ? 'bigint' : type });
const wider: SourceChange = { kind: 'retyped', column: 'size', from: 'int4', to: 'int8', typeName: 'bigint' };

test.each<[string, readonly (readonly SourceChange[])[], string | undefined]>([
  ['nothing', [], undefined],
  ['a column that it does not name', [[added('more'), dropped('other')]], undefined],
  ['a column that was renamed', [[renamed('note', 'remark')]], 'events.note is remark now'],
  ['twice', [[renamed('note', 'remark')], [renamed('remark', 'memo')]], 'events.note is memo now'],
  ['and back', [[renamed('note', 'remark')], [renamed('remark', 'note')]], undefined],
  ['a column that was dropped', [[dropped('note')]], 'events.note is gone'],
  ['and made again', [[dropped('note')], [added('note')]], undefined],
  ['made again with another type', [[dropped('note'), added('note', 'int8')]], 'events.note is bigint now'],
  ['a name that is another column by now', [[renamed('note', 'remark'), added('note')]], 'events.note is remark now'],
  ['a type', [[wider]], 'events.size is bigint now'],
  ['both', [[renamed('size', 'length')], [{ ...wider, column: 'length' }], [dropped('note')]], 'events.note is gone; events.size is length now, and is bigint now'],
])('of %s', (_, batches, says) => {
  const sentence = says && `In the source ${says}, which pipelines/lines.ts does not say. Change it there before ./sluice destroy lines: what is loaded after that knows of no migration.`;
  expect(definitionBehind(lines, batches.map((changes) => [{ table: 'events', changes }]))).toBe(sentence);
});

test('of a dimension, and of none that there is any more', () => {
  expect(definitionBehind(lines, [[{ table: 'pages', changes: [renamed('note', 'remark')] }, { table: 'shops', changes: [dropped('note')] }]])).toMatch(/^In the source pages\.note is remark now, which/);
});

test.each<[string, readonly SourceChange[], string | undefined]>([
  ['renames it back', [renamed('remark', 'note')], undefined],
  ['drops it', [dropped('remark')], undefined],
  ['is of another column', [wider], 'events.note is remark now'],
])('nothing is told of a column that a newer change, which waits, contradicts: one that %s', (_, newer, says) => {
  const sentence = definitionBehind(lines, [[{ table: 'events', changes: [renamed('note', 'remark')] }]], [[{ table: 'events', changes: newer }]]);
  expect(sentence?.match(/^In the source (.*), which/)?.[1]).toBe(says);
});
