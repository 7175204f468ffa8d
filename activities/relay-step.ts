import { readAggregate, readFence, readOutbox } from '../connectors/postgres/state/state.ts';
import { runRelay } from './relay-loop.ts';
import type { Runtime } from './runtime.ts';
import { runStep } from './step.ts';
import type { LaneStepInput, StepResult } from './steps.ts';

/** The bell rings for what it may have missed when it has reconnected; until it does, a message may wait so long. */
const pollMs = 5_000;
/** Of a hold, whose end is no message. */
const pollHeldMs = 100;

/** One step of a lane that publishes the outbox. */
export function relayStep(runtime: Runtime, input: LaneStepInput): Promise<StepResult> {
  const { state, bell } = runtime;
  const { until } = input;
  return runStep(runtime, input.lane, input, ({ definition: { pipeline }, signal, progress, count }) =>
    runtime.destinations.useRelay(pipeline, input.lane, (relay) =>
      runRelay({
        name: input.lane,
        relay,
        readOutbox: (after, limit) => readOutbox(state, pipeline.name, after, limit),
        newest: async () => (await readAggregate(state, pipeline.name))?.outboxSeq ?? 0,
        reached: async () => {
          if (until === undefined) return undefined;
          const aggregate = await readFence(state, pipeline.name, 'aggregate');
          if (aggregate === undefined || aggregate < until) return undefined;
          return aggregate === until ? 'held' : 'past';
        },
        wait: (waitSignal) => bell.wait(pipeline.name, until === undefined ? pollMs : pollHeldMs, waitSignal),
        signal,
        onPublished: (messages, fence) => {
          progress.moved(String(fence), messages.length, undefined);
          count({ segments: messages.length > 0 ? 1 : 0, events: messages.length });
        },
      }),
    ),
  );
}
