import type { LaneState } from './lane-state.ts';
import type { PipelineState } from './pipeline-state.ts';

export type WaitedFor = {
  readonly name: string;
  readonly state: PipelineState;
  readonly capture: { readonly state: LaneState };
  readonly lanes: readonly { readonly name: string; readonly state: LaneState }[];
};

/** Why a lane does not get where a backfill waits for it, and what to type; undefined: it goes on, as far as is known. */
export function whyItStands({ name, state, capture, lanes }: WaitedFor, lane: string): string | undefined {
  if (state === 'paused' || state === 'draining') return `${name} is paused: ./sluice resume ${name}`;
  // without what it captures no lane gets anywhere; its own columns it waits for by itself
  const parts = [[lane, lanes.find((each) => each.name === lane)?.state], ['capture', capture.state]] as const;
  for (const [part, is] of parts) {
    if (is === 'paused') return `${name}'s ${partText(part)} is paused: ./sluice resume ${name} --lane ${part}`;
    if (is === 'migrating') return `the columns of ${name}'s source have changed, and its migration is not over: ./sluice migrations ${name}`;
    if (is === 'held') return `${name}'s ${partText(part)} is held, for a comparison or a migration, and goes on after it: ./sluice status`;
    if (is === 'parked' || is === 'broken') return `${name}'s ${partText(part)} is ${is}: ./sluice status says why`;
  }
  return state === 'parked' ? `${name} is parked: ./sluice status says why` : undefined;
}

function partText(part: string): string {
  return part === 'capture' ? part : `lane ${part}`;
}
