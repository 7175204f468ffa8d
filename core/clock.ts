/** Time and timers come in from outside: a simulation brings its own. */
export interface Clock {
  /** Milliseconds since 1970, by the wall. */
  now(): number;
  /** Milliseconds of a clock that does not jump. */
  steady(): number;
  /** Calls `then` once. Returns what takes it back. */
  after(ms: number, then: () => void): () => void;
  /** Calls `then` again and again. Returns what ends it. */
  every(ms: number, then: () => void): () => void;
}

/** Resolves after the time, or as soon as the signal aborts. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = () => resolve();
  const cancel = clock.after(ms, wake);
  signal.addEventListener('abort', wake, { once: true });
  if (signal.aborted) wake();
  await promise;
  cancel();
  signal.removeEventListener('abort', wake);
}
