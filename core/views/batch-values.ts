import type { Expression } from '../expressions/expression.ts';
import type { Rows } from '../expressions/rows.ts';
import { evaluateScaled, type ScaledValues } from '../expressions/scaled.ts';
import type { Batch } from '../segment.ts';

/**
 * What an accumulator adds for each row of a batch. Views and live structures fold the same rows shortly after one
 * another: for the last few batches it is computed once. `rows` are those of the batch.
 */
export function batchValues(batch: Batch, expression: Expression, scale: number, rows: Rows): ScaledValues {
  let known = ofBatch.get(batch);
  if (!known) {
    known = new Map();
    ofBatch.set(batch, known);
    newest.push(known);
    // whoever folds that batch still has what it was given
    if (newest.length > mostBatches) newest.shift()!.clear();
  }
  const key = JSON.stringify([expression, scale], (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
  let values = known.get(key);
  if (!values) known.set(key, (values = evaluateScaled(expression, scale, rows)));
  return values;
}

const ofBatch = new WeakMap<Batch, Map<string, ScaledValues>>();
const newest: Map<string, ScaledValues>[] = [];
const mostBatches = 4;
