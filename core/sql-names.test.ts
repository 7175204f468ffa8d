import { expect, test } from 'vitest';
import { quotedName, sqlIdentifier, sqlRelation } from './sql-names.ts';

test.each([
  ['events', 'events'],
  ['_at2', '_at2'],
  ['Events', '"Events"'],
  ['order', '"order"'],
  ['user', '"user"'],
  ['timestamp', '"timestamp"'],
  ['ordered', 'ordered'],
  ['with "quotes"', '"with ""quotes"""'],
  ['2nd', '"2nd"'],
  ['', '""'],
])('%s is typed %s', (name, typed) => expect(sqlIdentifier(name)).toBe(typed));

test('a relation is its schema and the rest, each typed as it must be', () => {
  expect(sqlRelation('public.events')).toBe('public.events');
  expect(sqlRelation('public.order')).toBe('public."order"');
  expect(sqlRelation('My Schema.a.b')).toBe('"My Schema"."a.b"');
});

test('quoted, whatever it is', () => expect(quotedName('a"b')).toBe('"a""b"'));
