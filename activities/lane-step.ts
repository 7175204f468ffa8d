import { ConfigurationError } from '../connectors/sink.ts';
import { detachedText } from '../core/detach.ts';
import { readDetached } from '../connectors/postgres/detached-lanes.ts';
import { DeadLetters } from '../connectors/postgres/dead-letters.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { ApplyLimit } from './apply-limit.ts';
import { runLane } from './lane-loop.ts';
import type { Runtime } from './runtime.ts';
import { runStep } from './step.ts';
import type { LaneStepInput, StepResult } from './steps.ts';

/**
 * About how many rows are applied at once: what a lane that is behind takes from the spool. Each apply is a part in
 * ClickHouse, whose merging costs as much as the insert; messages need no more at once than some of them have.
 */
const maxRows = { clickhouse: 200_000, http: 40_000, other: 200_000 };

/** Redis tells its other users that it is busy after 5 s; a quarter of a second is what they wait for without noticing much. */
const longestScriptMs = 250;

/** One step of a lane that reads segments. */
export function laneStep(runtime: Runtime, input: LaneStepInput): Promise<StepResult> {
  return runStep(runtime, input.lane, input, async ({ definition: { pipeline, shape }, signal, progress, count }) => {
    const log = await runtime.log(pipeline.name);
    const definition = pipeline.sinks[input.lane];
    const letters = new DeadLetters(runtime.state, pipeline, input.lane, progress.tally);
    progress.deadLetters = await letters.waiting();
    await assertAttached(runtime, pipeline.name, input.lane);
    return runtime.destinations.useSink(pipeline, input.lane, ({ sink, rebuild }) =>
      runLane({
        pipeline: pipeline.name,
        name: input.lane,
        letters,
        key: pipeline.source.events.key,
        sink,
        rebuild,
        log,
        shape: shape.number,
        until: input.until,
        gatherMs: definition && 'gatherMs' in definition ? definition.gatherMs : 0,
        maxRows: definition?.kind === 'clickhouse' || definition?.kind === 'http' ? maxRows[definition.kind] : maxRows.other,
        limit: definition?.kind === 'redis-live' ? new ApplyLimit(longestScriptMs) : undefined,
        clock: systemClock,
        signal,
        onFence: (fence) => (progress.fence = fence),
        onApplied: (segments, fence, applied) => {
          progress.moved(fence, applied.events, newestCommitUs(segments));
          progress.late += applied.late ?? 0;
          progress.retracted += applied.retracted ?? 0;
          progress.windowsClosed += applied.windowsClosed ?? 0;
          progress.deadLetters = (progress.deadLetters ?? 0) + (applied.deadLetters ?? 0);
          const watermarkMs = applied.watermark !== undefined && Number.isFinite(applied.watermark) ? applied.watermark / 1000 : undefined;
          progress.watermarkMs = watermarkMs ?? progress.watermarkMs;
          count({ ...applied, segments: segments.length, ...(watermarkMs === undefined ? {} : { watermarkMs }) });
        },
      }).catch(async (error: unknown) => {
        // what it missed in the spool may be missing since it began
        await assertAttached(runtime, pipeline.name, input.lane);
        throw error;
      }),
    );
  });
}

async function assertAttached({ state }: Runtime, pipeline: string, lane: string): Promise<void> {
  const detached = (await readDetached(state, pipeline)).get(lane);
  if (detached) throw new ConfigurationError(detachedText(pipeline, lane, detached.at));
}

function newestCommitUs(segments: readonly { readonly transactions: { readonly count: number; readonly commitTimes: Float64Array } }[]): number | undefined {
  const transactions = segments.findLast((segment) => segment.transactions.count > 0)?.transactions;
  return transactions?.commitTimes[transactions.count - 1];
}
