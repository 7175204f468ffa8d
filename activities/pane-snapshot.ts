import { aggregateLane } from '../connectors/aggregate/progress.ts';
import { paneTable, quoted } from '../connectors/postgres/aggregate/pane-store.ts';
import { classified } from '../connectors/postgres/errors.ts';
import { inTransaction, readAggregate, readFence, unhurried, type State } from '../connectors/postgres/state/state.ts';
import type { PaneSnapshot } from '../connectors/redis/live.ts';
import { TransientError } from '../connectors/transient-error.ts';
import type { Pipeline, SinkDefinition } from '../core/pipeline.ts';
import { sumsOf } from '../core/views/extremes.ts';
import { paneSetsOf } from '../core/views/pane-sets.ts';
import type { PaneSet } from '../core/views/panes.ts';
import { shownAfterMs } from '../core/views/watermark.ts';

/** What the aggregate lane has of the panes that a live view still shows, all as of one fence (E11). Not their extremes: no live structure has any. */
export function readPaneSnapshot(state: State, pipeline: Pipeline, definition: Extract<SinkDefinition, { kind: 'redis-live' }>): Promise<PaneSnapshot> {
  const set = paneSetsOf(pipeline).find(({ views }) => views.some(({ name }) => name === definition.view))!;
  const { sizeMs } = pipeline.views[definition.view]!.window;
  return classified('state database', () =>
    inTransaction(state, async (client) => {
      await client.query('set transaction isolation level repeatable read read only');
      const fence = await readFence(client, pipeline.name, aggregateLane);
      const aggregate = await readAggregate(client, pipeline.name);
      if (fence === undefined) throw new TransientError(`the aggregate lane of ${pipeline.name} is not loaded yet, and ${definition.key} is made of its panes`);
      const clockUs = aggregate?.clockUs;
      const afterMs = clockUs === undefined ? Number.MIN_SAFE_INTEGER : shownAfterMs(clockUs, sizeMs, set.paneMs);
      const { rows } = await client.query<string[]>(unhurried({ text: panesQuery(pipeline.name, set), values: [pipeline.name, set.name, afterMs], rowMode: 'array' }));
      return {
        fence,
        clockUs,
        panes: {
          count: rows.length,
          panes: Float64Array.from(rows, ([pane]) => Number(pane)),
          keys: rows.map(([, key]) => key!),
          // beyond 2^53 it is rounded, but never to below that: a live structure which needs that sum refuses it
          values: set.accumulators.map((_, place) => Float64Array.from(rows, (row) => Number(row[place + 2]))),
        },
      };
    }),
  );
}

/** Late deltas belong to their panes; rows from beyond the future bound do not. */
function panesQuery(pipeline: string, set: PaneSet): string {
  const sums = new Set(sumsOf(set));
  const names = set.accumulators.map((_, place) => `value_${place}`);
  const columns = set.accumulators.map(({ name }, place) => `${sums.has(place) ? quoted(name) : 0} as value_${place}`);
  return `select pane_ms, key, ${names.map((name) => `sum(${name})`).join(', ')} from (
            select pane_ms, key, ${columns.join(', ')} from ${paneTable(pipeline, set)} where pane_ms > $3
            union all
            select pane_ms, key, ${names.map((_, place) => (sums.has(place) ? `deltas[${place + 1}]` : 0)).join(', ')} from sluice.late
             where pipeline = $1 and pane_set = $2 and reason = 'late' and pane_ms > $3
          ) deltas group by pane_ms, key`;
}
