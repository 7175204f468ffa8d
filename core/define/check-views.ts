import type { Expression } from '../expressions/expression.ts';
import { columnsIn } from '../expressions/expression.ts';
import type { EventTable, Pipeline, Text } from '../pipeline.ts';
import { bucketsOf, isOfBuckets } from '../views/buckets.ts';
import { canBeKey } from './check-source.ts';
import { nameProblems } from './invalid-pipeline.ts';
import type { ViewDefinition } from './views.ts';

/** What is wrong with the views of a pipeline on this source. */
export function viewsProblems(
  views: Readonly<Record<string, ViewDefinition>>,
  source: Pipeline<Text>['source'],
): string[] {
  return [
    ...nameProblems('view', Object.keys(views)),
    ...Object.entries(views).flatMap(([name, view]) =>
      viewProblems(view, source).map((problem) => `view ${name}: ${problem}`),
    ),
  ];
}

function viewProblems(view: ViewDefinition, source: Pipeline<Text>['source']): string[] {
  const { key, where, measures, rankBy, top, labels } = view;
  const problems = [
    ...windowProblems(view),
    ...keyProblems(key, source.events),
    ...nameProblems('measure', Object.keys(measures)),
  ];
  if (where && where.type !== 'bool') problems.push(`its filter is a ${where.type}, not a condition`);
  if (where) problems.push(...mutableInputs('filter', where));
  for (const [name, measure] of Object.entries(measures))
    if ('of' in measure) problems.push(...mutableInputs(`measure ${name}`, measure.of));
  problems.push(...bucketProblems(measures, source.events));
  if (!(rankBy in measures))
    problems.push(`it ranks by ${rankBy}, which is not one of its measures (${Object.keys(measures).join(', ')})`);
  if (!Number.isInteger(top) || top < 1 || top > 1_000)
    problems.push(`top ${top}: a result has between 1 and 1,000 ranks`);
  const taken = [
    'rank',
    'revision',
    'final',
    'window_start',
    'window_end',
    ...(key.op === 'column' ? [key.column] : []),
  ];
  for (const name of [...Object.keys(measures), ...Object.keys(labels)]) {
    if (taken.includes(name))
      problems.push(`${name} is a column that every result has; give the measure or label another name`);
    taken.push(name);
  }
  for (const [name, label] of Object.entries(labels)) problems.push(...labelProblems(name, label, key, source));
  return problems;
}

/** The panes of a view are divided by one value at most (core/views/buckets.ts). */
function bucketProblems(measures: ViewDefinition['measures'], events: EventTable): string[] {
  const problems: string[] = [];
  const divided = Object.entries(measures).flatMap(([name, measure]) => (isOfBuckets(measure) ? [{ name, measure, by: JSON.stringify(bucketsOf(measure), (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)) }] : []));
  const other = divided.find(({ by }) => by !== divided[0]!.by);
  if (other)
    problems.push(
      `${other.name} and ${divided[0]!.name} are of different values, and the panes of a view are divided by one; make a view of its own for ${other.name}, with the same window and key`,
    );
  for (const { name, measure } of divided) {
    if (measure.kind !== 'distinct') continue;
    const { of } = measure;
    // a column of a dimension is refused as in every measure
    if (of.op === 'column' && of.table !== 'events') continue;
    const column = of.op === 'column' ? events.columns[of.column] : undefined;
    if (!column) problems.push(`${name} counts distinct values of something that is not a column of events, but computed`);
    else if (!canBeKey(column)) problems.push(`${name} counts distinct values of a ${column.type}, and one value may be written in more than one way; it takes text, uuid, an integer or a boolean`);
  }
  return problems;
}

function windowProblems({ window: { kind, sizeMs, everyMs } }: ViewDefinition): string[] {
  if (sizeMs % everyMs !== 0)
    return [
      `a ${kind} window of ${sizeMs} ms is not a whole number of panes of ${everyMs} ms; choose ${kind === 'rolling' ? 'a pane' : 'an every'} that divides it`,
    ];
  if (sizeMs / everyMs > 10_000) return [`a window of ${sizeMs / everyMs} panes is too fine; 10,000 are possible`];
  return [];
}

function keyProblems(key: Expression, events: EventTable): string[] {
  if (key.op !== 'column') return ['its key must be a column of events, not a computed value'];
  if (key.table !== 'events') return mutableInputs('key', key);
  const column = events.columns[key.column];
  if (!column) return [`its key ${key.column} is not a column of events`];
  return canBeKey(column)
    ? []
    : [`its key ${key.column} is a ${column.type}; a key is text, uuid, an integer or a boolean`];
}

/** E16. */
function mutableInputs(place: string, expression: Expression): string[] {
  return columnsIn(expression)
    .filter(({ table }) => table !== 'events')
    .map(
      ({ table, column }) =>
        `its ${place} uses the dimension column ${table}.${column}: when that changes, a row would leave another pane than the one it entered (E16). Use columns of events here; dimension columns can be labels, joined when results are published`,
    );
}

function labelProblems(
  name: string,
  label: Expression,
  key: Expression,
  { dimensions }: Pipeline<Text>['source'],
): string[] {
  const dimension = label.op === 'column' ? dimensions[label.table] : undefined;
  if (label.op !== 'column' || !dimension) return [`the label ${name} must be a column of a dimension`];
  if (!(label.column in dimension.columns))
    return [`the label ${name}: ${label.column} is not a column of ${label.table}`];
  if (key.op === 'column' && dimension.on !== key.column)
    return [
      `the label ${name} is of ${label.table}, which hangs on ${dimension.on}, but the view's key is ${key.column}`,
    ];
  return [];
}
