import { columnsIn } from '../expressions/expression.ts';
import type { Pipeline, Text } from '../pipeline.ts';

/**
 * The columns that `before` images have, in the order of the table: what finds a row again in a sink (key, sort and
 * partition columns), and what takes it out of its panes (event time, view keys, filters, measures).
 */
export function beforeColumns({ source: { events }, views, sinks, paneSets = [] }: Pipeline<Text>): readonly string[] {
  const needed = new Set([events.key, events.eventTime]);
  for (const { key, where, measures } of Object.values(views)) {
    needed.add(key);
    const inputs = Object.values(measures).map((measure) => ('of' in measure ? measure.of : undefined));
    for (const expression of [where, ...inputs]) {
      if (expression) for (const { column } of columnsIn(expression)) needed.add(column);
    }
  }
  // panes may have more than the views of now: those are kept up as well
  for (const { accumulators, buckets } of paneSets) {
    for (const each of [...accumulators, buckets]) if (each && 'of' in each && each.of) for (const { column } of columnsIn(each.of)) needed.add(column);
  }
  for (const sink of Object.values(sinks)) {
    if (sink.kind === 'clickhouse') for (const column of [...sink.orderBy, sink.partitionBy]) needed.add(column);
  }
  return Object.keys(events.columns).filter((column) => needed.has(column));
}
