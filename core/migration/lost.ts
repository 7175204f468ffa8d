import { columnsIn, type Expression } from '../expressions/expression.ts';
import { nameInSource, type Pipeline, type Text, type View } from '../pipeline.ts';
import { paneSetsOf } from '../views/pane-sets.ts';
import { tableOf } from './shape.ts';

type Definition = Pipeline<Text>;

/** It has values of before that the source cannot tell any more, as it has lost a column. */
export function readsLost(pipeline: Definition, expression: Expression | undefined): boolean {
  return expression !== undefined && columnsIn(expression).some(({ table, column }) => isLost(pipeline, table, column));
}

/** What rows have that the source cannot tell any more. They are not written again alone then: those values are in them, and nowhere else. */
export function lostOfRows(pipeline: Definition): readonly string[] {
  return Object.entries(pipeline.row).flatMap(([name, expression]) => (readsLost(pipeline, expression) ? [name] : []));
}

/** Why that is so, and what writes them all the same; undefined: it is not so. */
export function lostRowsText(pipeline: Definition): string | undefined {
  const lost = lostOfRows(pipeline);
  if (lost.length === 0) return undefined;
  return `the source of ${pipeline.name} has no more what ${lost.join(', ')} had before, so those values are in these rows alone. Written again they are, without those values, when everything is loaded anew: ./sluice recover ${pipeline.name}`;
}

/** Views of which the source cannot tell any more what they showed before. */
export function lostViews(pipeline: Definition): ReadonlySet<string> {
  const lost = Object.entries(pipeline.views).filter(([, view]) => countsLost(pipeline, view) || Object.values(view.labels).some(({ dimension, column }) => isLost(pipeline, dimension, column)));
  return new Set(lost.map(([name]) => name));
}

/** Views whose panes, which they may share, cannot be computed anew: they would count nothing where they counted before. */
export function uncountableViews(pipeline: Definition): ReadonlySet<string> {
  const sets = paneSetsOf(pipeline).filter(({ views }) => views.some(({ name }) => countsLost(pipeline, pipeline.views[name]!)));
  return new Set(sets.flatMap(({ views }) => views.map(({ name }) => name)));
}

function countsLost(pipeline: Definition, { key, where, measures }: View): boolean {
  return isLost(pipeline, 'events', key) || readsLost(pipeline, where) || Object.values(measures).some((measure) => 'of' in measure && readsLost(pipeline, measure.of));
}

function isLost(pipeline: Definition, table: string, column: string): boolean {
  return nameInSource(tableOf(pipeline, table)!, column) === undefined;
}

/** What is said of something that is not compared for this. */
export const lostNote = 'not comparable: it counts by a column that the source has no more';
