export type LiveEvent = { readonly event: string; readonly data: string };

/**
 * What one client has still to be sent: of each event only the newest, and only if it differs from the last one taken,
 * so that a slow client costs no memory and is never behind.
 */
export class Mailbox {
  readonly #waiting = new Map<string, string>();
  readonly #taken = new Map<string, string>();
  #wake: (() => void) | undefined;
  #closed = false;

  put(event: string, data: string): void {
    if (this.#taken.get(event) === data) this.#waiting.delete(event);
    else this.#waiting.set(event, data);
    if (this.#waiting.size > 0) this.#wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** The next event; 'quiet' when there was none for this long; 'closed'. */
  async take(waitMs: number): Promise<LiveEvent | 'quiet' | 'closed'> {
    if (!this.#closed && this.#waiting.size === 0) await this.#arrival(waitMs);
    if (this.#closed) return 'closed';
    for (const [event, data] of this.#waiting) {
      this.#waiting.delete(event);
      this.#taken.set(event, data);
      return { event, data };
    }
    return 'quiet';
  }

  #arrival(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
