import { describe, expect, test } from 'vitest';
import type { ColumnType } from '../columns/vector.ts';
import { keepsOrder, sourceChanges, type SourceChange, type SourceColumn } from './source-changes.ts';

/** `id:int8 device:text`, numbered from 1 unless the numbers are given: `device:text#4`. */
function columns(text: string, numbered = true): SourceColumn[] {
  return text.split(' ').map((each, index) => {
    const [, name, type, number] = /^(\w+):(\w+)(?:#(\d+))?$/.exec(each)!;
    return { name: name!, type: type as ColumnType, typeName: type!, ...(numbered ? { number: number === undefined ? index + 1 : Number(number) } : {}) };
  });
}

const table = 'id:int8 at:timestamptz device:text note:text';

describe.each([
  ['with numbers', true],
  ['as relation messages have them, without', false],
])('%s', (_, numbered) => {
  test.each<[string, string, SourceChange[]]>([
    ['nothing', table, []],
    ['an added column', `${table} more:int4#5`, [{ kind: 'added', column: 'more', type: 'int4', typeName: 'int4' }]],
    ['a dropped one', 'id:int8 at:timestamptz note:text#4', [{ kind: 'dropped', column: 'device' }]],
    ['a renamed one', 'id:int8 at:timestamptz gadget:text note:text', [{ kind: 'renamed', column: 'device', to: 'gadget', type: 'text' }]],
    ['the last one renamed', 'id:int8 at:timestamptz device:text remark:text', [{ kind: 'renamed', column: 'note', to: 'remark', type: 'text' }]],
    ['a retyped one', 'id:int8 at:timestamptz device:int4 note:text', [{ kind: 'retyped', column: 'device', from: 'text', to: 'int4', typeName: 'int4' }]],
    ['renamed and retyped', 'id:int8 at:timestamptz gadget:int4 note:text', [{ kind: 'renamed', column: 'device', to: 'gadget', type: 'int4' }, { kind: 'retyped', column: 'gadget', from: 'text', to: 'int4', typeName: 'int4' }]],
    ['two names exchanged with a third', 'id:int8 at:timestamptz one:text two:text', [{ kind: 'renamed', column: 'device', to: 'one', type: 'text' }, { kind: 'renamed', column: 'note', to: 'two', type: 'text' }]],
    ['one dropped and another added with its own type', 'id:int8 at:timestamptz note:text#4 more:int4#5', [{ kind: 'dropped', column: 'device' }, { kind: 'added', column: 'more', type: 'int4', typeName: 'int4' }]],
    ['one renamed, and another added under its name', 'id:int8 at:timestamptz old:text note:text device:text#5', [{ kind: 'renamed', column: 'device', to: 'old', type: 'text' }, { kind: 'added', column: 'device', type: 'text', typeName: 'text' }]],
    ['so with the last one', 'id:int8 at:timestamptz device:text old:text note:text#5', [{ kind: 'renamed', column: 'note', to: 'old', type: 'text' }, { kind: 'added', column: 'note', type: 'text', typeName: 'text' }]],
    ['one renamed and one added', 'id:int8 at:timestamptz gadget:text note:text more:bool#5', [{ kind: 'renamed', column: 'device', to: 'gadget', type: 'text' }, { kind: 'added', column: 'more', type: 'bool', typeName: 'bool' }]],
  ])('%s', (_name, after, changes) => {
    expect(sourceChanges(columns(table, numbered), columns(after, numbered))).toEqual(changes);
  });
});

describe('numbers tell apart what looks the same', () => {
  test('the last column dropped and one of its type added', () => {
    expect(sourceChanges(columns(table), columns('id:int8 at:timestamptz device:text remark:text#5'))).toEqual([
      { kind: 'dropped', column: 'note' },
      { kind: 'added', column: 'remark', type: 'text', typeName: 'text' },
    ]);
  });

  test('a column dropped and made again under its name', () => {
    expect(sourceChanges(columns(table), columns('id:int8 at:timestamptz note:text#4 device:text#5'))).toEqual([
      { kind: 'dropped', column: 'device' },
      { kind: 'added', column: 'device', type: 'text', typeName: 'text' },
    ]);
  });

  test('two columns that changed their names', () => {
    expect(sourceChanges(columns(table), columns('id:int8 at:timestamptz note:text#3 device:text#4'))).toEqual([
      { kind: 'renamed', column: 'device', to: 'note', type: 'text' },
      { kind: 'renamed', column: 'note', to: 'device', type: 'text' },
    ]);
  });

  test('the last column renamed and retyped', () => {
    expect(sourceChanges(columns(table), columns('id:int8 at:timestamptz device:text remark:int8#4'))).toEqual([
      { kind: 'renamed', column: 'note', to: 'remark', type: 'int8' },
      { kind: 'retyped', column: 'remark', from: 'text', to: 'int8', typeName: 'int8' },
    ]);
  });
});

test('of a table of which only the names are known, the order says nothing', () => {
  expect(sourceChanges(columns('device:text id:int8', false), columns('id:int8 more:text device:text'), { inOrder: false })).toEqual([{ kind: 'added', column: 'more', type: 'text', typeName: 'text' }]);
});

test.each<[string, boolean]>([
  ['id at device note', true],
  ['id at device note more', true],
  ['id note', true],
  ['id at gadget note', true],
  ['id at old note device', false],
  ['id at device old note', false],
  ['id at note device', false],
])('names in the order %s', (now, keeps) => {
  expect(keepsOrder(['id', 'at', 'device', 'note'], now.split(' '))).toBe(keeps);
});
