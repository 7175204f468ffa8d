/** Whether Temporal can be reached. Heartbeats do not tell: they never throw (E25). */
export class Reachability {
  readonly #probe: () => Promise<unknown>;
  readonly #timer: NodeJS.Timeout;
  #probing = false;
  #back: PromiseWithResolvers<void> | undefined;

  constructor(probe: () => Promise<unknown>, everyMs = 2_000) {
    this.#probe = probe;
    this.#timer = setInterval(() => void this.#ask(), everyMs);
    this.#timer.unref();
  }

  get reachable(): boolean {
    return this.#back === undefined;
  }

  /** At once if it is reachable. */
  async untilReachable(): Promise<void> {
    await this.#back?.promise;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#back?.resolve();
  }

  async #ask(): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    try {
      await this.#probe();
      this.#back?.resolve();
      this.#back = undefined;
    } catch {
      this.#back ??= Promise.withResolvers<void>();
    } finally {
      this.#probing = false;
    }
  }
}
