import { columnsIn, type Expression } from '../expressions/expression.ts';
import { nameInSource, type Pipeline } from '../pipeline.ts';
import { tableOf } from './shape.ts';

/** It has values of before that the source cannot tell any more, as it has lost a column. */
export function readsLost(pipeline: Pipeline, expression: Expression | undefined): boolean {
  return expression !== undefined && columnsIn(expression).some(({ table, column }) => isLost(pipeline, table, column));
}

export function lostViews(pipeline: Pipeline): ReadonlySet<string> {
  const lost = Object.entries(pipeline.views).filter(([, { key, where, measures, labels }]) => {
    const isLabelLost = Object.values(labels).some(({ dimension, column }) => isLost(pipeline, dimension, column));
    return isLost(pipeline, 'events', key) || readsLost(pipeline, where) || isLabelLost || Object.values(measures).some((measure) => 'of' in measure && readsLost(pipeline, measure.of));
  });
  return new Set(lost.map(([name]) => name));
}

function isLost(pipeline: Pipeline, table: string, column: string): boolean {
  return nameInSource(tableOf(pipeline, table)!, column) === undefined;
}
