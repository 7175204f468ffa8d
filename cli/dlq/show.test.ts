import { expect, test } from 'vitest';
import { valueText } from './show.ts';

test.each([
  ['ios', 'ios'],
  ['two words', 'two words'],
  ['{"a": "b \\" c"}', '{"a": "b \\" c"}'],
  ['{\n  "a": 1\n}', '{ "a": 1 }'],
  [null, 'NULL'],
  ['NULL', '"NULL"'],
  ['', '""'],
  [' padded', '" padded"'],
  ['two\nlines', '"two\\nlines"'],
])('%j is shown as %s', (value, text) => {
  expect(valueText(value)).toBe(text);
});
