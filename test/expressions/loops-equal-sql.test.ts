import fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postgresText } from '../../core/columns/postgres-text.ts';
import { computed } from '../../core/define/row-schema.ts';
import { evaluate } from '../../core/expressions/kernels.ts';
import type { Expression } from '../../core/expressions/expression.ts';
import { evaluateScaled } from '../../core/expressions/scaled.ts';
import { toScaledSql } from '../../core/expressions/scaled-sql.ts';
import { toSql } from '../../core/expressions/sql.ts';
import type { Pipeline, Text } from '../../core/pipeline.ts';
import { pipelines } from '../../pipelines/index.ts';
import { services } from '../embedded/services.ts';
import type { TableColumns } from './random-expressions.ts';
import { expressionsOver } from './random-expressions.ts';
import type { TextRows } from './rows-in-postgres.ts';
import { rowsOf, select } from './rows-in-postgres.ts';
import { textOf } from './values.ts';

const types = ['bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'date', 'timestamp', 'timestamptz', 'uuid', 'text', 'bytea'] as const;
const plain = types.map((type) => [type, { type, nullable: true, interned: false }] as const);
const interned = (['text', 'uuid'] as const).map((type) => [`interned ${type}`, { type, nullable: true, interned: true }] as const);
const tables: TableColumns = { events: Object.fromEntries([...plain, ...interned]), dimension: Object.fromEntries([...plain, ...interned]) };

const rowCount = 200;
const expressionsAtOnce = 10;

let client: Client;
beforeAll(async () => {
  client = new Client({ connectionString: services().stateUrl, options: '-c timezone=UTC -c datestyle=ISO' });
  await client.connect();
});
afterAll(() => client.end());

describe('loops and SQL give the same', () => {
  const { any, numeric } = expressionsOver(tables, 3);
  const sample = { numRuns: 40, interruptAfterTimeLimit: 40_000 } as const;

  test('values of 400 random expressions', async () => {
    await fc.assert(
      fc.asyncProperty(rowsArbitrary(tables), fc.array(any, { minLength: expressionsAtOnce, maxLength: expressionsAtOnce }), (values, expressions) =>
        expectSame(tables, values, expressions),
      ),
      sample,
    );
  });

  test('scaled integers of 400 random measures', async () => {
    const measures = fc.array(fc.tuple(numeric, fc.nat(6)), { minLength: expressionsAtOnce, maxLength: expressionsAtOnce });
    await fc.assert(
      fc.asyncProperty(rowsArbitrary(tables), measures, (values, each) => expectSameScaled(tables, values, each)),
      sample,
    );
  });
});

describe.each(Object.values(pipelines))('pipeline $name: loops and SQL give the same', (pipeline) => {
  const own = columnsOf(pipeline);

  test('rows', () =>
    fc.assert(
      fc.asyncProperty(rowsArbitrary(own), (values) => expectSame(own, values, Object.values(pipeline.row))),
      { numRuns: 5 },
    ));

  test('measures', () => {
    const measures = Object.values(pipeline.views).flatMap((view) => Object.values(view.measures).flatMap((measure) => ('of' in measure ? [[measure.of, measure.scale] as const] : [])));
    return fc.assert(
      fc.asyncProperty(rowsArbitrary(own), (values) => expectSameScaled(own, values, measures)),
      { numRuns: 5 },
    );
  });
});

async function expectSame(columns: TableColumns, values: TextRows, expressions: readonly Expression[]): Promise<void> {
  const sql = expressions.map((expression) => toSql(expression, namesOf(columns)));
  const fromSql = await select(client, columns, values, sql);
  const rows = rowsOf(columns, values, rowCount);
  expressions.forEach((expression, at) => {
    const vector = evaluate(expression, rows);
    if (expression.op === 'column') expect(vector).toBe(rows.column(expression.table, expression.column));
    else expect(vector.type).toBe(computed[expression.type]);
    const isFloat = vector.type === 'float8' || vector.type === 'float4';
    const comparable = (text: string | null) => (isFloat && text !== null ? Number(text) : text);
    const fromLoops = Array.from({ length: rowCount }, (_, row) => comparable(postgresText(vector, row)));
    expect(fromLoops, sql[at]).toEqual(fromSql.map((row) => comparable(row[at]!)));
  });
}

async function expectSameScaled(columns: TableColumns, values: TextRows, measures: readonly (readonly [Expression, number])[]): Promise<void> {
  const sql = measures.map(([of, scale]) => toScaledSql(of, scale, namesOf(columns)));
  const fromSql = sql.length > 0 ? await select(client, columns, values, sql) : [];
  const rows = rowsOf(columns, values, rowCount);
  measures.forEach(([of, scale], at) => {
    const scaled = evaluateScaled(of, scale, rows);
    const fromLoops = Array.from(scaled.values, (value, row) => (scaled.states?.[row] ? null : String(value)));
    expect(fromLoops, sql[at]).toEqual(fromSql.map((row) => row[at]!));
    expect(scaled.values.every((value, row) => !scaled.states?.[row] || value === 0)).toBe(true);
  });
}

function rowsArbitrary(columns: TableColumns): fc.Arbitrary<TextRows> {
  const table = (each: TableColumns[string]) =>
    fc.record(Object.fromEntries(Object.entries(each).map(([name, { type }]) => [name, fc.array(textOf(type), { minLength: rowCount, maxLength: rowCount })])));
  return fc.noShrink(fc.record(Object.fromEntries(Object.entries(columns).map(([name, each]) => [name, table(each)]))));
}

function columnsOf({ source: { events, dimensions } }: Pipeline<Text>): TableColumns {
  return { events: events.columns, ...Object.fromEntries(Object.entries(dimensions).map(([name, { columns }]) => [name, columns])) };
}

function namesOf(columns: TableColumns): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.keys(columns).map((name) => [name, name]));
}
