import fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postgresText } from '../../core/columns/postgres-text.ts';
import { expressionTypes } from '../../core/define/columns.ts';
import { computed } from '../../core/define/row-schema.ts';
import { evaluate } from '../../core/expressions/kernels.ts';
import { columnsIn } from '../../core/expressions/expression.ts';
import type { Expression } from '../../core/expressions/expression.ts';
import { evaluateScaled } from '../../core/expressions/scaled.ts';
import { toScaledSql } from '../../core/expressions/scaled-sql.ts';
import { toSql } from '../../core/expressions/sql.ts';
import type { Pipeline, Text } from '../../core/pipeline.ts';
import type { Batch } from '../../core/segment.ts';
import { BucketSlots } from '../../core/views/bucket-slots.ts';
import type { Buckets } from '../../core/views/buckets.ts';
import { bucketSql } from '../../connectors/verification/pane-sql.ts';
import { pipelines } from '../../pipelines/index.ts';
import { services } from '../embedded/services.ts';
import type { TableColumns } from './random-expressions.ts';
import { expressionsOver } from './random-expressions.ts';
import type { TextRows } from './rows-in-postgres.ts';
import { rowsOf, select } from './rows-in-postgres.ts';
import { textOf } from './values.ts';

const types = [
  'bool',
  'int2',
  'int4',
  'int8',
  'float4',
  'float8',
  'numeric',
  'date',
  'timestamp',
  'timestamptz',
  'uuid',
  'text',
  'bytea',
] as const;
const plain = types.map((type) => [type, { type, nullable: true, interned: false }] as const);
const interned = (['text', 'uuid'] as const).map(
  (type) => [`interned ${type}`, { type, nullable: true, interned: true }] as const,
);
const tables: TableColumns = {
  events: Object.fromEntries([...plain, ...interned]),
  dimension: Object.fromEntries([...plain, ...interned]),
};

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
      fc.asyncProperty(
        fc.nat(),
        fc.array(any, { minLength: expressionsAtOnce, maxLength: expressionsAtOnce }),
        (seed, expressions) => expectSame(tables, seed, expressions),
      ),
      sample,
    );
  });

  test('scaled integers of 400 random measures', async () => {
    const measures = fc.array(fc.tuple(numeric, fc.nat(6)), {
      minLength: expressionsAtOnce,
      maxLength: expressionsAtOnce,
    });
    await fc.assert(
      fc.asyncProperty(fc.nat(), measures, (seed, each) => expectSameScaled(tables, seed, each)),
      sample,
    );
  });
});

test('the buckets of values', async () => {
  const { numeric } = expressionsOver(tables, 2);
  const columns = ['bool', 'int2', 'int4', 'int8', 'uuid', 'text', 'interned text', 'interned uuid'].map((column) => ({ op: 'column', table: 'events', column, type: expressionTypes[tables['events']![column]!.type] }) as const);
  const quantiles = fc.record({ kind: fc.constant('quantile' as const), of: numeric, scale: fc.integer({ min: 0, max: 9 }) });
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.array(quantiles, { minLength: expressionsAtOnce, maxLength: expressionsAtOnce }), (seed, divided) =>
      expectSameBuckets(seed, [...divided, ...columns.map((of) => ({ kind: 'distinct', of }) as const), { kind: 'quantile', of: columns[3]!, scale: 0 }])),
    { numRuns: 20, interruptAfterTimeLimit: 30_000 },
  );
});

describe.each(Object.values(pipelines))('pipeline $name: loops and SQL give the same', (pipeline) => {
  const own = columnsOf(pipeline);

  test('rows', () =>
    fc.assert(
      fc.asyncProperty(fc.nat(), (seed) => expectSame(own, seed, Object.values(pipeline.row))),
      { numRuns: 5 },
    ));

  test('measures', () => {
    const measures: (readonly [Expression, number])[] = Object.values(pipeline.views).flatMap((view) =>
      Object.values(view.measures).flatMap((measure) =>
        'scale' in measure ? [[measure.of, measure.scale] as const] : [],
      ),
    );
    return fc.assert(
      fc.asyncProperty(fc.nat(), (seed) => expectSameScaled(own, seed, measures)),
      { numRuns: 5 },
    );
  });
});

async function expectSame(columns: TableColumns, seed: number, expressions: readonly Expression[]): Promise<void> {
  const values = randomRows(columns, seed);
  const sql = expressions.map((expression) => toSql(expression, namesOf(columns)));
  const fromSql = await select(client, columns, values, sql);
  const rows = rowsOf(columns, values, rowCount);
  expressions.forEach((expression, at) => {
    const vector = evaluate(expression, rows);
    if (expression.op === 'column') expect(vector).toBe(rows.column(expression.table, expression.column));
    else expect(vector.type).toBe(computed[expression.type]);
    const comparable = (text: string | null) =>
      text === null
        ? null
        : vector.type === 'float8'
          ? Number(text)
          : vector.type === 'float4'
            ? Math.fround(Number(text))
            : text;
    expectEach(expression, sql[at]!, values, (row) => [
      comparable(postgresText(vector, row)),
      comparable(fromSql[row]![at]!),
    ]);
  });
}

async function expectSameScaled(
  columns: TableColumns,
  seed: number,
  measures: readonly (readonly [Expression, number])[],
): Promise<void> {
  const values = randomRows(columns, seed);
  const sql = measures.map(([of, scale]) => toScaledSql(of, scale, namesOf(columns)));
  const fromSql = await select(client, columns, values, sql);
  const rows = rowsOf(columns, values, rowCount);
  measures.forEach(([of, scale], at) => {
    const scaled = evaluateScaled(of, scale, rows);
    expectEach(of, sql[at]!, values, (row) => [
      scaled.states?.[row] ? null : String(scaled.values[row]),
      fromSql[row]![at]!,
    ]);
    expect(scaled.values.every((value, row) => !scaled.states?.[row] || Object.is(value, 0))).toBe(true);
  });
}

async function expectSameBuckets(seed: number, divided: readonly Buckets[]): Promise<void> {
  const values = randomRows(tables, seed);
  const sql = divided.map((buckets) => `concat(${bucketSql(buckets, namesOf(tables))}, ' k')`);
  const fromSql = await select(client, tables, values, sql);
  const rows = rowsOf(tables, values, rowCount);
  divided.forEach((buckets, at) => {
    const entries = new BucketSlots(buckets);
    // what is folded is told apart by its batch
    const slots = entries.divide(new Int32Array(rowCount), ['k'], { rows: rowCount } as Batch, rows);
    expectEach(buckets.of, sql[at]!, values, (row) => [entries.texts[slots[row]!], fromSql[row]![at]!]);
  });
}

/** Names the first rows that differ, with what they were made of. */
function expectEach(
  expression: Expression,
  sql: string,
  values: TextRows,
  both: (row: number) => readonly [loops: unknown, sql: unknown],
): void {
  const differences: unknown[] = [];
  for (let row = 0; row < rowCount && differences.length < 3; row++) {
    const [loops, fromSql] = both(row);
    if (Object.is(loops, fromSql)) continue;
    const inputs = columnsIn(expression).map(({ table, column }) => [
      `${table}.${column}`,
      values[table]![column]![row],
    ]);
    differences.push({ loops, sql: fromSql, ...Object.fromEntries(inputs) });
  }
  expect({ sql, differences }).toEqual({ sql, differences: [] });
}

function randomRows(columns: TableColumns, seed: number): TextRows {
  const table = (each: TableColumns[string]) =>
    fc.record(
      Object.fromEntries(
        Object.entries(each).map(([name, { type }]) => [
          name,
          fc.array(textOf(type), { minLength: rowCount, maxLength: rowCount }),
        ]),
      ),
    );
  const all = fc.record(Object.fromEntries(Object.entries(columns).map(([name, each]) => [name, table(each)])));
  return fc.sample(all, { seed, numRuns: 1 })[0]!;
}

function columnsOf({ source: { events, dimensions } }: Pipeline<Text>): TableColumns {
  return {
    events: events.columns,
    ...Object.fromEntries(Object.entries(dimensions).map(([name, { columns }]) => [name, columns])),
  };
}

function namesOf(columns: TableColumns): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.keys(columns).map((name) => [name, name]));
}
