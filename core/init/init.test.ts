import { describe, expect, test } from 'vitest';
import { definitionText } from './definition-text.ts';
import { groupingColumn, isInterned } from './grouping.ts';
import { listedIn, listingLines } from './listed.ts';
import { inComment, literal, member, property } from './names.ts';
import { keyQuestion, sinksQuestion, tableQuestion, timeQuestion, type Question } from './questions.ts';
import { withoutPassword } from './source-address.ts';
import type { ColumnFacts, SourceFacts, TableFacts } from './source-facts.ts';
import { indexAdvice, sourceNeeds } from './source-needs.ts';
import { leftOutBecause } from './table-fit.ts';

const column = (name: string, type: ColumnFacts['type'], more: Partial<ColumnFacts> = {}): ColumnFacts => ({ name, type, typeName: type, isEnum: false, nullable: false, generated: null, distinct: null, indexed: false, references: null, ...more });

const id = column('id', 'int8', { indexed: true });
const at = column('created_at', 'timestamptz');
const status = column('status', 'text', { distinct: 4, nullable: true });

const tableOf = (more: Partial<TableFacts> = {}): TableFacts => ({
  schema: 'public',
  name: 'orders',
  sql: 'public.orders',
  partitioned: false,
  unlogged: false,
  rows: 1_000,
  primaryKey: ['id'],
  unique: ['id'],
  replicaIdentity: 'default',
  withoutIdentity: ['public.orders'],
  maySelect: true,
  mayUseSchema: true,
  foreignOwner: null,
  columns: [id, at, status],
  ...more,
});

const factsOf = (...tables: TableFacts[]): SourceFacts => ({ database: 'shop', role: 'app', walLevel: 'logical', sendsGenerated: true, mayReplicate: true, mayReadStats: true, mayCreate: true, synchronous: null, tables });

const typed = <T>(question: Question<T>) => (question.tag === 'settled' ? question.value : question.options.map((option) => option.typed));

describe('a table that cannot be read is refused with what to do', () => {
  test.each<[string, Partial<TableFacts>, RegExp]>([
    ['a key of two columns', { primaryKey: ['a', 'b'], unique: [] }, /^The primary key of public\.orders is \(a, b\), and the key of a definition is one column .*ALTER TABLE public\.orders ADD COLUMN sluice_id uuid/],
    ['no key', { primaryKey: [], unique: [] }, /^Table public\.orders has no primary key and no unique index .*ADD COLUMN sluice_id/],
    ['no key, partitioned', { primaryKey: [], unique: [], partitioned: true }, /A partitioned table needs a primary key of that column and its partition columns/],
    ['a key of a type that none is', { columns: [column('id', 'numeric'), at] }, /id is numeric, and a key is text, uuid, an integer or a boolean/],
    ['a unique column that can be NULL', { primaryKey: [], columns: [{ ...id, nullable: true }, at] }, /id can be NULL.*ALTER COLUMN "id" SET NOT NULL;$/],
    ['a key that begins with _', { primaryKey: ['_id'], unique: ['_id'], columns: [column('_id', 'int8'), at] }, /_id cannot be named in a definition/],
    ['dates only', { columns: [id, column('day', 'date')] }, /no timestamptz or timestamp column that a definition can name, and windows need one \(day: a date is no event time\).*ADD COLUMN created_at timestamptz/],
    ['a blank in its name', { name: 'my orders', sql: 'public."my orders"' }, /no blank and no dot\. Rename it: ALTER TABLE public\."my orders" RENAME/],
    ['a dot in its schema', { schema: 'a.b', sql: '"a.b".orders' }, /no blank and no dot/],
    ['unlogged', { unlogged: true }, /ALTER TABLE public\.orders SET LOGGED;$/],
  ])('%s', (_, more, message) => {
    const table = tableOf(more);
    expect(() => tableQuestion(factsOf(table), table.sql)).toThrow(message);
    // beside one that fits it is only told of
    expect(tableQuestion(factsOf(table, tableOf({ name: 'other' })), undefined)).toMatchObject({ tag: 'settled', value: { name: 'other' } });
  });

  test('one that is not there: which are', () => {
    expect(() => tableQuestion(factsOf(tableOf()), 'public.order')).toThrow(/There is no table public\.order in shop.*There are: public\.orders$/);
    expect(() => tableQuestion(factsOf(), undefined)).toThrow(/^shop has no table that a pipeline can read/);
  });
});

describe('what is asked, and in which order', () => {
  test('tables: the largest first, by relation, SQL or name', () => {
    const facts = factsOf(tableOf(), tableOf({ name: 'Big', sql: 'public."Big"', rows: 1e6 }), tableOf({ name: 'new', rows: null }));
    expect(typed(tableQuestion(facts, undefined))).toEqual(['public.Big', 'public.orders', 'public.new']);
    for (const given of ['Big', 'public.Big', 'public."Big"']) expect(tableQuestion(facts, given)).toMatchObject({ value: { name: 'Big' } });
    expect(tableQuestion(facts, undefined)).toMatchObject({ options: [{ about: 'about 1,000,000 rows; primary key (id); replica identity default; times: created_at' }, {}, {}] });
  });

  test('event times: indexed first, then names like created_at, changes last', () => {
    const times = [column('updated_at', 'timestamptz', { indexed: true }), column('shipped', 'timestamp'), at, column('paid', 'timestamptz', { indexed: true }), column('day', 'date')];
    const table = tableOf({ columns: [id, ...times] });
    const asked = timeQuestion(table, factsOf(table), undefined);
    expect(typed(asked)).toEqual(['paid', 'created_at', 'shipped', 'updated_at']);
    expect(asked).toMatchObject({ notes: ['day is a date, which is no event time'] });
    expect(() => timeQuestion(table, factsOf(table), 'day')).toThrow(/--event-time day: public\.orders\.day \(date\) cannot be it: .*It can be: paid, created_at/);
    expect(() => timeQuestion(table, factsOf(table), 'dai')).toThrow(/has no column dai\. It can be: /);
  });

  test('the key: the primary key, or any other that --key says and that is unique alone', () => {
    const code = column('code', 'text');
    const table = tableOf({ columns: [id, at, code, status], unique: ['id', 'code'] });
    expect(keyQuestion(table, factsOf(table), undefined)).toMatchObject({ value: { name: 'id' } });
    expect(keyQuestion(table, factsOf(table), 'code')).toMatchObject({ value: { name: 'code' } });
    expect(() => keyQuestion(table, factsOf(table), 'status')).toThrow(/--key status: .*unique alone\. It can be: id, code/);
    expect(typed(keyQuestion({ ...table, primaryKey: ['a', 'b'], columns: [...table.columns, column('n', 'int4')], unique: ['code', 'n'] }, factsOf(table), undefined))).toEqual(['code', 'n']);
  });

  test('sinks: all that can be first; views are needed for some, a NOT NULL time for ClickHouse', () => {
    const chosen = { table: tableOf(), eventTime: at, key: id };
    const facts = factsOf(chosen.table);
    expect(typed(sinksQuestion(chosen, facts, undefined)).slice(0, 2)).toEqual(['clickhouse,redis,results', 'clickhouse,redis']);
    expect(sinksQuestion(chosen, facts, 'results, clickhouse')).toEqual({ tag: 'settled', value: ['clickhouse', 'results'] });
    expect(() => sinksQuestion(chosen, facts, 'kafka')).toThrow(/no destination "kafka"\. There are clickhouse, redis, results/);
    const bare = { ...chosen, table: tableOf({ columns: [id, at] }) };
    expect(sinksQuestion(bare, facts, undefined)).toMatchObject({ value: ['clickhouse'] });
    expect(() => sinksQuestion(bare, facts, 'redis')).toThrow(/--sinks redis: it shows a view, and public\.orders has no column by which to count/);
    const eventTime = { ...at, nullable: true };
    const loose = { ...chosen, eventTime, table: tableOf({ columns: [id, eventTime, status] }) };
    expect(() => sinksQuestion(loose, facts, 'clickhouse')).toThrow(/NOT NULL column.*ALTER TABLE public\.orders ALTER COLUMN "created_at" SET NOT NULL;$/);
  });
});

test.each<[string, ColumnFacts[], string | undefined]>([
  ['a reference before few values', [status, column('customer_id', 'int8', { references: 'public.customers' })], 'customer_id'],
  ['few values before a number', [column('quantity', 'int4', { distinct: 12 }), status], 'status'],
  ['a name that says so, without statistics', [column('note', 'text'), column('kind', 'text')], 'kind'],
  ['an enum', [column('mood', 'text', { isEnum: true })], 'mood'],
  ['no group: nearly all different', [column('session_id', 'uuid', { distinct: 990 })], undefined],
  ['no group: all the same', [column('status', 'text', { distinct: 1 })], undefined],
  ['not a column that every result has', [column('rank', 'text', { distinct: 3 })], undefined],
  ['not a type that no key has', [column('state', 'jsonb', { distinct: 3 })], undefined],
  ['nothing', [column('note', 'text')], undefined],
])('grouping: %s', (_, columns, expected) => {
  expect(groupingColumn(tableOf({ columns: [id, at, ...columns] }), 'id', factsOf())?.name).toBe(expected);
});

test.each<[ColumnFacts, boolean]>([
  [status, true],
  [column('mood', 'text', { isEnum: true }), true],
  [column('email', 'text', { distinct: 5_000 }), false],
  [column('note', 'text'), false],
  [column('n', 'int4', { distinct: 2 }), false],
])('interned: %j %s', (given, expected) => {
  expect(isInterned(given)).toBe(expected);
});

test.each<[ColumnFacts, boolean, RegExp | undefined]>([
  [column('_x', 'text'), true, /begin with _/],
  [column('o', 'oid'), true, /no column type/],
  [column('v', 'text', { generated: 'virtual' }), true, /not stored/],
  [column('s', 'text', { generated: 'stored' }), false, /PostgreSQL 18/],
  [column('s', 'text', { generated: 'stored' }), true, undefined],
  [column('a', 'other'), true, undefined],
])('left out: %j', (given, sendsGenerated, because) => {
  const found = leftOutBecause(given, { sendsGenerated });
  if (because) expect(found).toMatch(because);
  else expect(found).toBeUndefined();
});

describe('what the source needs', () => {
  test('nothing, or all that would park it, as SQL', () => {
    expect(sourceNeeds(factsOf(), tableOf({ withoutIdentity: [] }), false)).toEqual([]);
    const facts: SourceFacts = { ...factsOf(), role: 'App', walLevel: 'replica', mayReplicate: false, mayReadStats: false, mayCreate: false };
    const table = tableOf({ maySelect: false, mayUseSchema: false, foreignOwner: 'boss', withoutIdentity: ['public.orders', 'public."P1"'], columns: [column('twice', 'int4', { generated: 'virtual' })] });
    expect(sourceNeeds(facts, table, false).map(({ sql }) => sql)).toEqual([
      "ALTER SYSTEM SET wal_level = 'logical';",
      'ALTER ROLE "App" REPLICATION;',
      'GRANT CREATE ON DATABASE "shop" TO "App";',
      'GRANT "boss" TO "App";',
      'GRANT USAGE ON SCHEMA "public" TO "App";',
      'GRANT SELECT ON public.orders TO "App";',
      'GRANT pg_read_all_stats TO "App";',
      'ALTER TABLE public.orders DROP COLUMN "twice";',
      'ALTER TABLE public.orders REPLICA IDENTITY FULL;',
      'ALTER TABLE public."P1" REPLICA IDENTITY FULL;',
    ]);
  });

  test('append-only tables keep their replica identity', () => {
    expect(sourceNeeds(factsOf(), tableOf(), true)).toEqual([]);
  });

  test('an index on the event time, in the form that a partitioned table allows', () => {
    expect(indexAdvice(tableOf(), 'created_at')?.sql).toBe('CREATE INDEX CONCURRENTLY ON public.orders ("created_at");');
    expect(indexAdvice(tableOf({ partitioned: true }), 'created_at')?.sql).toBe('CREATE INDEX ON public.orders ("created_at");');
    expect(indexAdvice(tableOf(), 'id')).toBeUndefined();
  });
});

describe('names of the source stay names', () => {
  const evil = `a'); process.exit(); // "\n\u2028 \\ */ \``;

  test('as strings, properties and members', () => {
    // oxlint-disable-next-line no-eval, no-implied-eval -- the language itself is the oracle
    const evaluated = (text: string): unknown => new Function(`return ${text}`)();
    for (const name of [evil, 'plain', "it's", 'x"y', '\\', "\\'", '\\"', 'a\tb', 'ß'.repeat(31)]) {
      expect(evaluated(literal(name))).toBe(name);
      expect(evaluated(`Object.keys({ ${property(name)}: 1 })`)).toEqual([name]);
    }
    expect([member('events', 'status'), member('events', 'Order status')]).toEqual(['events.status', "events['Order status']"]);
  });

  test('in comments', () => {
    expect(inComment(evil)).not.toMatch(/[\n\r\u2028\u2029]|\*\//);
  });
});

test.each([
  ['postgres://app:secret@db:5432/shop', 'postgres://app:PASSWORD@db:5432/shop'],
  ['postgres://app@db/shop?password=secret&sslmode=require', 'postgres://app@db/shop?password=PASSWORD&sslmode=require'],
  ['postgres://app@db/shop', 'postgres://app@db/shop'],
])('%s is shown as %s', (address, shown) => {
  expect(withoutPassword(address)).toBe(shown);
});

test.each(['mysql://a:secret@b/c', 'secret', 'postgres://a:sec/ret@b:x/'])('%s is no address, and not shown', (address) => {
  expect(() => withoutPassword(address)).toThrow(/^The source is no address of a PostgreSQL: (?!.*sec)/);
});

describe('pipelines/index.ts', () => {
  const index = `import type { Pipeline } from '../core/pipeline.ts';\nimport b from './b.ts';\n\n/** All. */\nexport const pipelines: Readonly<Record<string, Pipeline>> = { b };\n`;

  test('gets one more, once', () => {
    const after = listedIn(index, 'orders')!;
    expect(after).toBe(index.replace(`'./b.ts';\n`, `'./b.ts';\nimport orders from './orders.ts';\n`).replace('{ b }', '{ b, orders }'));
    expect(listedIn(after, 'orders')).toBe(after);
    expect(listedIn(index.replace('{ b }', '{}'), 'orders')).toContain('= { orders };');
    expect(listedIn(index.replace('{ b }', '{\n  b,\n}'), 'orders')).toContain('= { b, orders };');
  });

  test('words of the language are imported by another name', () => {
    expect(listingLines('new')).toEqual([`import new_pipeline from './new.ts';`, 'new: new_pipeline']);
  });

  test.each([[index.replace('{ b }', 'all({ b })')], [''], ['export const pipelines = {};\n']])('is left to a person when it has another form: %j', (other) => {
    expect(listedIn(other, 'orders')).toBeUndefined();
  });
});

test('the file, whole', () => {
  const customer = column('customer id', 'int4', { references: 'public.customers', nullable: true });
  const table = tableOf({ columns: [id, customer, at, status, column('_v', 'text'), column('tags', 'other', { typeName: 'text[]', nullable: true })] });
  const customers = tableOf({ name: 'customers', sql: 'public.customers' });
  expect(definitionText({ name: 'orders', table, key: id, eventTime: at, appendOnly: false, sinks: ['clickhouse', 'results'] }, factsOf(table, customers), '../core/define-pipeline.ts')).toMatchInlineSnapshot(`
    "import {
      bigint,
      clickhouse,
      count,
      definePipeline,
      integer,
      other,
      postgres,
      results,
      table,
      text,
      timestamptz,
      tumbling,
    } from '../core/define-pipeline.ts';

    /** Written by \`./sluice init orders\` from the table public.orders. It is yours: the compiler says what cannot be. */
    export default definePipeline({
      name: 'orders',

      source: postgres({
        events: table(
          'orders',
          // A column that nobody needs can go, and may then change. nullable(): it can be NULL.
          // interned(): few distinct values, kept as a dictionary.
          {
            id: bigint(),
            'customer id': integer().nullable(),
            created_at: timestamptz(),
            status: text().nullable().interned(),
            tags: other().nullable(), // text[] as text; without it the source sends all columns in binary, which costs less
            // left out: _v (text): names that begin with _ are kept for the columns that sinks add
          },
          // key: unique in the source. eventTime: when it happened, which decides a row's windows.
          { key: 'id', eventTime: 'created_at' },
        ),
        // A table whose rows enrich these, see pipelines/engagement.ts:
        // more: dimension('public.customers', { id: integer(), … }, { key: 'id', on: 'customer id' }),
      }),

      views: ({ events }) => ({
        // The ten of customer id with the most rows in each minute. Rows without one are not counted.
        // Other windows: hopping('10m', { every: '1m', … }), rolling; other measures: sum, avg, min, max, rate, quantile, distinct (core/define-pipeline.ts).
        // where: says which rows count; labels: columns of a dimension, shown beside the key.
        per_minute: tumbling('1m', {
          key: events['customer id'],
          measures: { events: count() },
          top: 10,
        }),
      }),

      sinks: {
        // Every row: sorted by orderBy, a partition for each day of partitionBy. NOT NULL columns of the table only.
        rows: clickhouse({
          table: 'orders',
          orderBy: ['created_at', 'id'],
          partitionBy: 'created_at',
        }),
        // Each window as rows of a table in the state database.
        results: results({ view: 'per_minute', table: 'results.orders' }),
      },
    });
    "
  `);
});
