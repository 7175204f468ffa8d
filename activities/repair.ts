import { Context } from '@temporalio/activity';
import { AggregateSink } from '../connectors/aggregate/aggregate-sink.ts';
import { PostgresAggregateTables } from '../connectors/postgres/aggregate/aggregate-tables.ts';
import { hasTimeIndex } from '../connectors/postgres/backfill-estimate.ts';
import { readShard } from '../connectors/postgres/shard-state.ts';
import { withSource } from '../connectors/postgres/with-source.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import type { RepairInput, Stale } from '../core/repair.ts';
import { endMarksOfTheDead } from './dead-marks.ts';
import { failureOf } from './failures.ts';
import { uncountableViews } from '../core/migration/lost.ts';
import type { Runtime } from './runtime.ts';

/** What the repair workflow sees. */
export type RepairActivities = {
  /** Oldest first. Of one that is not loaded there are none, which whoever asked is told. */
  staleWindows(input: Pick<RepairInput, 'pipeline' | 'isAsked'>): Promise<Stale>;
};

export async function staleWindows(runtime: Pick<Runtime, 'config' | 'state' | 'definition'>, input: Pick<RepairInput, 'pipeline' | 'isAsked'>): Promise<Stale> {
  try {
    const { config, state } = runtime;
    const { pipeline } = await runtime.definition(input.pipeline);
    if ((await readShard(state, pipeline.name))?.state !== 'streaming') {
      if (input.isAsked) throw new ConfigurationError(`Pipeline ${pipeline.name} is not loaded. See ./sluice status, and repair it when it runs.`);
      return { ranges: [], hasIndex: true };
    }
    const panes = new AggregateSink(await PostgresAggregateTables.open(state, pipeline), pipeline);
    // what those have marked would be left out
    await endMarksOfTheDead(Context.current().client, panes);
    const uncountable = uncountableViews(pipeline);
    const ranges = (await panes.stale()).filter(({ views }) => !views.some((view) => uncountable.has(view)));
    if (ranges.length === 0) return { ranges, hasIndex: true };
    return { ranges, hasIndex: await withSource(config.sourceUrl, `sluice ${pipeline.name} repair`, (source) => hasTimeIndex(source, pipeline.source.events)) };
  } catch (error) {
    throw failureOf(error);
  }
}
