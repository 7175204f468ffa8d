import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until it is so; an answer that fails counts as no. Throws with what was waited for, and the last failure. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, options: { readonly timeoutMs: number; readonly everyMs?: number; readonly signal: AbortSignal }): Promise<void> {
  const deadline = performance.now() + options.timeoutMs;
  let failure: unknown;
  for (;;) {
    options.signal.throwIfAborted();
    try {
      if (await isSo()) return;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadline) throw new Error(`Waited ${options.timeoutMs / 1000} s for ${what}, in vain${failure instanceof Error ? `: ${failure.message}` : '.'}`, { cause: failure });
    await sleep(options.everyMs ?? 50, undefined, { signal: options.signal });
  }
}
