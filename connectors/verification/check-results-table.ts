import type { Client } from 'pg';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { Check } from '../../core/verification.ts';
import { quote, quoteRelation } from '../postgres/source-catalog.ts';
import type { ComparedColumn } from './columns.ts';
import { compare, type Comparison } from './compare.ts';
import { labelSql, publishedTable, readPublishedRows } from './published-rows.ts';
import type { AggregateNow } from './windows.ts';
import { comparableEnds, measureColumn, windowsTable } from './windows.ts';

type Definition = Extract<SinkDefinition, { kind: 'postgres-results' }>;

/** Every published window in its table: the ranks of the panes, labels as published, revision and finality (I7). */
export async function checkResultsTable(database: Client, pipeline: Pipeline, sink: string, definition: Definition, aggregate: AggregateNow, loadedAt: Position): Promise<Check> {
  await readPublishedRows(database, pipeline.name, definition.view);
  return compareResults(database, pipeline, sink, definition, { shown: shownRows(pipeline, definition, aggregate), loadedAt });
}

/** The rows of a results table that can be compared, with `window_end_ms`. */
export function shownRows(pipeline: Pipeline, { view, table }: Definition, aggregate: AggregateNow): string {
  return `select * from (select *, (extract(epoch from window_end) * 1000)::bigint as window_end_ms from ${quoteRelation(table.includes('.') ? table : `results.${table}`)}) shown where ${comparableEnds(pipeline, view, aggregate)}`;
}

/** `shown`: the query of its rows. The windows that are expected, and what was published of them, are in their tables. */
export function compareResults(database: Client, pipeline: Pipeline, sink: string, { view, table }: Definition, { shown: rows, loadedAt, ...more }: { readonly shown: string; readonly loadedAt: Position } & Pick<Comparison, 'listed' | 'windowOf'>): Promise<Check> {
  const { key, labels, measures, window } = pipeline.views[view]!;
  const columns: readonly ComparedColumn[] = [
    { name: 'window_end', type: 'timestamptz' },
    { name: 'rank', type: 'int' },
    { name: 'window_start', type: 'timestamptz' },
    { name: key, type: 'text collate "C"' },
    ...Object.keys(labels).map((name) => ({ name, type: 'text collate "C"' })),
    ...Object.keys(measures).map((name) => ({ name, type: 'numeric' })),
    { name: 'revision', type: 'int' },
    { name: 'final', type: 'boolean' },
  ];
  const shown = { key: 'expected.key', said: 'said.key is not null' };
  const expectedLabels = Object.keys(labels).map((name) => `${labelSql(pipeline, view, name, { ...shown, published: `said.labels ->> '${name.replaceAll("'", "''")}'`, shown: `shown.${quote(name)}` }, loadedAt)} as ${quote(name)}`);
  const expected = [
    `${time('expected.window_end_ms')} as window_end`,
    'expected.rank',
    `${time(`expected.window_end_ms - ${window.sizeMs}`)} as window_start`,
    `expected.key as ${quote(key)}`,
    ...expectedLabels,
    ...Object.keys(measures).map((name) => `expected.${quote(measureColumn(name))} as ${quote(name)}`),
    'expected.revision',
    'expected.final',
  ];
  const actual = columns.map(({ name }) => {
    if (name === key) return `concat(${quote(name)}) collate "C" as ${quote(name)}`;
    return name in measures ? `${quote(name)}::numeric as ${quote(name)}` : quote(name);
  });
  return compare(database, {
    sink,
    what: `windows in ${table}`,
    columns,
    keys: 2,
    expected: `select ${expected.join(', ')} from pg_temp.${quote(windowsTable(view))} expected
      left join pg_temp.${quote(publishedTable(view))} said on said.window_end_ms = expected.window_end_ms and said.key = expected.key
      left join (${rows}) shown on shown.window_end = ${time('expected.window_end_ms')} and shown.rank = expected.rank`,
    actual: `select ${actual.join(', ')} from (${rows}) shown`,
    ...more,
  });
}

/** Milliseconds since 1970 as a time, exactly. */
function time(ms: string): string {
  return `(timestamptz '1970-01-01 00:00:00+00' + (${ms}) * interval '1 millisecond')`;
}
