/**
 * Reads something again and again while somebody listens, once for all listeners. A listener that comes while others
 * are there gets the newest value at once. `read` must not throw: what failed is part of the value.
 */
export class Poller<T> {
  readonly #read: () => Promise<T>;
  readonly #everyMs: number;
  readonly #listeners = new Set<(value: T) => void>();
  #running = false;
  #newest: { value: T } | undefined;
  #wake: (() => void) | undefined;

  constructor(read: () => Promise<T>, everyMs: number) {
    this.#read = read;
    this.#everyMs = everyMs;
  }

  /** Returns how to stop listening. */
  subscribe(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    if (this.#newest) listener(this.#newest.value);
    if (!this.#running) void this.#run();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#wake?.();
    };
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#listeners.size > 0) {
      const startedAt = performance.now();
      const value = await this.#read();
      this.#newest = { value };
      for (const listener of this.#listeners) listener(value);
      await this.#rest(this.#everyMs - (performance.now() - startedAt));
    }
    this.#newest = undefined;
    this.#running = false;
  }

  #rest(ms: number): Promise<void> {
    if (this.#listeners.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, ms));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
