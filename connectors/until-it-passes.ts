import { pause, type Clock } from '../core/clock.ts';
import { systemClock } from './system-clock.ts';
import { TransientError, isNetworkError } from './transient-error.ts';

export type Passing = {
  readonly clock?: Clock;
  readonly signal: AbortSignal;
  /** Throws when somebody else has taken over meanwhile: asked before each further try. */
  readonly assertCurrent: () => Promise<void>;
};

/** A sink that is away for a moment must not cost a whole load: what it is given may be given again. */
export async function untilItPasses({ clock = systemClock, signal, assertCurrent }: Passing, work: () => Promise<void>): Promise<void> {
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 5_000)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TransientError) && !isNetworkError(error)) throw error;
      await pause(clock, Math.max(waitMs, (error as TransientError).retryAfterMs ?? 0), signal);
      signal.throwIfAborted();
      await assertCurrent();
    }
  }
}
