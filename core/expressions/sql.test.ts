import { expect, test } from 'vitest';
import { pipelines } from '../../pipelines/index.ts';
import { eq, mul } from './build.ts';
import type { Expression, Typed } from './expression.ts';
import { toSql } from './sql.ts';

const a: Typed<'int'> = { op: 'column', table: 'events', column: 'a', type: 'int' };
const name: Typed<'text'> = { op: 'column', table: 'events', column: 'na"me', type: 'text' };
const aliases = { events: 'e', content: 'c' };

test('what cannot go out of bounds is plain SQL', () => {
  expect(toSql(pipelines['engagement']!.row['engagement_pct']!, aliases)).toBe(
    `((("e"."duration_ms"::float8 / '1000'::float8) / NULLIF("c"."length_seconds"::float8, 0)) * '100'::float8)`,
  );
});

test('what can go out of bounds is guarded', () => {
  const powers = Array.from({ length: 9 }).reduce<Expression>((product) => mul(product as typeof a, a), mul(a, 0.5));
  expect(toSql(powers, aliases).match(/CASE WHEN abs\(l\) <= 1e\+150/g)).toHaveLength(2);
});

test('names and texts are quoted', () => {
  expect(toSql(eq(name, "it's \\ so"), aliases)).toBe(
    `("e"."na""me"::text COLLATE "C" = E'it''s \\\\ so'::text COLLATE "C")`,
  );
});

test('a table that the query does not have is refused', () => {
  expect(() => toSql(a, { rows: 'r' })).toThrow('the query has no table events; it has rows');
});
