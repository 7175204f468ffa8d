import type { Pipeline, SinkDefinition, Text } from '../pipeline.ts';
import { isOfBuckets } from '../views/buckets.ts';
import { nameProblems } from './invalid-pipeline.ts';

/** What is wrong with the sinks, given the tables, rows and views of the same pipeline. */
export function sinksProblems(pipeline: Pipeline<Text>): string[] {
  const names = Object.keys(pipeline.sinks);
  const problems = nameProblems('sink', names);
  if (names.length === 0) problems.push('it has no sinks: its results would go nowhere');
  for (const reserved of ['aggregate', 'capture']) {
    if (names.includes(reserved)) problems.push(`sink ${reserved}: every pipeline has a part of that name already`);
  }
  for (const [name, sink] of Object.entries(pipeline.sinks))
    problems.push(...sinkProblems(sink, pipeline).map((problem) => `sink ${name}: ${problem}`));
  return problems;
}

function sinkProblems(sink: SinkDefinition<Text>, pipeline: Pipeline<Text>): string[] {
  const { onBudget = 'hold' } = sink as { readonly onBudget?: string };
  if (onBudget !== 'hold' && onBudget !== 'detach') return [`onBudget ${JSON.stringify(onBudget)} is neither hold nor detach`];
  switch (sink.kind) {
    case 'clickhouse':
      return clickhouseProblems(sink, pipeline);
    case 'http':
      return (['maxRows', 'inFlight'] as const)
        .filter((option) => !(Number.isInteger(sink[option]) && sink[option] > 0))
        .map((option) => `${option} ${sink[option]} is not a positive whole number`);
    case 'postgres-results':
      return [...viewProblems(sink.view, pipeline), ...tableProblems(sink.table, 'results.top')];
    case 'redis-results':
      return viewProblems(sink.view, pipeline);
    case 'redis-live':
      return [...viewProblems(sink.view, pipeline), ...liveProblems(sink, pipeline)];
    default:
      return [`there is no sink of kind ${(sink as { kind: string }).kind}`];
  }
}

function clickhouseProblems(
  sink: SinkDefinition<Text> & { kind: 'clickhouse' },
  { source: { events } }: Pipeline<Text>,
): string[] {
  const problems = tableProblems(sink.table, 'enriched');
  for (const name of new Set([...sink.orderBy, sink.partitionBy])) {
    const column = events.columns[name];
    if (!column)
      problems.push(
        `${name} is not a column of events: rows are sorted and partitioned by columns of the event table only, which a change of a dimension cannot move`,
      );
    else if (column.nullable)
      problems.push(`${name} is nullable: rows are sorted and partitioned by NOT NULL columns only`);
  }
  if (!sink.orderBy.includes(events.key))
    problems.push(`orderBy must contain the key ${events.key}, or rows would replace each other`);
  if (!sink.orderBy.includes(sink.partitionBy))
    problems.push(
      `orderBy must contain ${sink.partitionBy}, by which it is partitioned, or a row that moves would stay in two partitions`,
    );
  const partition = events.columns[sink.partitionBy]?.type;
  if (partition && !['date', 'timestamp', 'timestamptz'].includes(partition))
    problems.push(`it has a partition for each day of ${sink.partitionBy}, but that is a ${partition}`);
  return problems;
}

function liveProblems(sink: SinkDefinition<Text> & { kind: 'redis-live' }, { views }: Pipeline<Text>): string[] {
  const view = views[sink.view];
  if (!view) return [];
  const problems: string[] = [];
  if (view.window.kind !== 'rolling')
    problems.push(
      `a live structure needs a rolling view, but ${sink.view} is ${view.window.kind}; publish it with redisResults instead`,
    );
  const divided = Object.entries(view.measures).find(([, measure]) => isOfBuckets(measure));
  if (divided)
    problems.push(
      `${divided[0]} of ${sink.view} is a ${divided[1].kind}, and a live structure adds up panes by key, which that view's are not kept by alone; show a view without it, or publish this one with redisResults or results`,
    );
  const kept = new Set([view.rank.by, ...Object.values(sink.hash)]);
  for (const name of kept) {
    const kind = view.measures[name]?.kind;
    if (kind === 'min' || kind === 'max')
      problems.push(
        `${name} is a ${kind}, and a live structure takes rows out as its window moves on, which cannot be done with that (E15); show other measures there, or publish the view with redisResults or results`,
      );
  }
  for (const [field, measure] of Object.entries(sink.hash)) {
    if (!(measure in view.measures))
      problems.push(
        `its hash field ${field} is ${measure}, which is not a measure of ${sink.view} (${Object.keys(view.measures).join(', ')})`,
      );
  }
  return problems;
}

function viewProblems(view: string, { views }: Pipeline<Text>): string[] {
  return view in views ? [] : [`there is no view ${view}; the views are ${Object.keys(views).join(', ') || 'none'}`];
}

function tableProblems(table: string, example: string): string[] {
  return /^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/.test(table)
    ? []
    : [`${JSON.stringify(table)} is not a table name; write it in lower case, like '${example}'`];
}
