/** Whether Temporal can be reached. Heartbeats do not tell: they never throw (E25). */
export class Reachability {
  readonly #probe: () => Promise<unknown>;
  readonly #timer: NodeJS.Timeout;
  #asking: Promise<void> | undefined;
  #back: PromiseWithResolvers<void> | undefined;
  #stopped = false;

  /** `probe` throws when there is no answer within a time of its own. */
  constructor(probe: () => Promise<unknown>, everyMs = 2_000) {
    this.#probe = probe;
    this.#timer = setInterval(() => void this.#ask(), everyMs);
    this.#timer.unref();
  }

  /** As of the last probe. */
  get reachable(): boolean {
    return this.#back === undefined;
  }

  /** Resolves when it is reachable, of which it asks now: the last probe may be older than the trouble. */
  async untilReachable(): Promise<void> {
    await this.#ask();
    await this.#back?.promise;
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#back?.resolve();
    this.#back = undefined;
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#answer().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #answer(): Promise<void> {
    try {
      await this.#probe();
      this.#back?.resolve();
      this.#back = undefined;
    } catch {
      if (!this.#stopped) this.#back ??= Promise.withResolvers<void>();
    }
  }
}
