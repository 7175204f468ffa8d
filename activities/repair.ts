import { AggregateSink } from '../connectors/aggregate/aggregate-sink.ts';
import { PostgresAggregateTables } from '../connectors/postgres/aggregate/aggregate-tables.ts';
import type { StaleRange } from '../core/repair.ts';
import { failureOf } from './failures.ts';
import type { Runtime } from './runtime.ts';

/** What the repair workflow sees. */
export type RepairActivities = {
  /** Oldest first. */
  staleWindows(input: { readonly pipeline: string }): Promise<readonly StaleRange[]>;
};

export async function staleWindows({ state, definition }: Pick<Runtime, 'state' | 'definition'>, input: { readonly pipeline: string }): Promise<readonly StaleRange[]> {
  try {
    const { pipeline } = definition(input.pipeline);
    return await new AggregateSink(await PostgresAggregateTables.open(state, pipeline), pipeline).stale();
  } catch (error) {
    throw failureOf(error);
  }
}
