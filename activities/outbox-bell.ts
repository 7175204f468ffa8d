/** Rings when a pipeline's outbox grows. What it misses while the worker's listener has no connection is polled. */
export class OutboxBell {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Resolves at the next ring for this pipeline, after `timeoutMs`, or when the signal aborts. */
  async wait(pipeline: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const waiting = this.#waiting.get(pipeline) ?? new Set();
    this.#waiting.set(pipeline, waiting.add(wake));
    const timer = setTimeout(wake, timeoutMs);
    signal.addEventListener('abort', wake, { once: true });
    await promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', wake);
    waiting.delete(wake);
  }

  /** Without a pipeline: of every one. */
  ring(pipeline: string | undefined): void {
    const waiting = pipeline ? [this.#waiting.get(pipeline)] : this.#waiting.values();
    for (const wakes of waiting) for (const wake of wakes ?? []) wake();
  }
}
