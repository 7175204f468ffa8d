import { setTimeout as sleep } from 'node:timers/promises';

const firstWaitMs = 100;
const longestWaitMs = 2_000;

/** Tries for ever: what a process needs at its start may come up after it. Throws when the signal aborts. */
export async function untilItWorks<T>(what: string, attempt: () => Promise<T>, options: { readonly signal: AbortSignal; readonly onFailure: (what: string, error: unknown) => void }): Promise<T> {
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
    try {
      return await attempt();
    } catch (error) {
      // a newer version was here: no wait mends that
      if (error instanceof Error && error.name === 'StateTooNew') throw error;
      options.onFailure(what, error);
      await sleep(waitMs, undefined, { signal: options.signal });
    }
  }
}
