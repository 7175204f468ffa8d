import { pause, type Clock } from '../../core/clock.ts';
import type { Position } from '../../core/position.ts';
import { NotComparable } from '../verification/not-comparable.ts';

export type Waiting = { readonly clock: Clock; readonly signal: AbortSignal; readonly onPhase: (phase: string) => void };

/** Waits until a lane has applied everything below a position. Throws NotComparable if it stands still, or takes too long. */
export async function laneAt(lane: string, readFence: () => Promise<Position | undefined>, wanted: Position, { clock, signal, onPhase }: Waiting): Promise<void> {
  const sinceMs = clock.steady();
  let [seen, movedMs]: [Position | undefined, number] = [undefined, sinceMs];
  for (;;) {
    signal.throwIfAborted();
    const fence = await readFence();
    if (fence === undefined) throw new NotComparable(`Lane ${lane} is not loaded, or is being made anew. See ./sluice status.`);
    if (fence >= wanted) return;
    const nowMs = clock.steady();
    if (fence !== seen) [seen, movedMs] = [fence, nowMs];
    if (nowMs - movedMs > standsMs) throw new NotComparable(`Lane ${lane} stands still at ${fence}: it is paused, held or parked, or its destination is away. See ./sluice status.`);
    if (nowMs - sinceMs > longestMs) throw new NotComparable(`Lane ${lane} is behind, at ${fence}: it did not come to the snapshot within ${longestMs / 60_000} minutes. See ./sluice status.`);
    onPhase(`waiting for lane ${lane} to pass the snapshot`);
    await pause(clock, lookMs, signal);
  }
}

const lookMs = 50;
/** The canary moves every lane each ten seconds at least. */
const standsMs = 30_000;
/** A snapshot that waits keeps changes, and the source from cleaning up behind it. */
const longestMs = 300_000;
