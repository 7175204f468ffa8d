/**
 * One step a part and process. An attempt that the server gave up (it was away too long, a heartbeat was late) may still
 * be at work here when the next one begins: it is told to end, and the next one waits for it. Between processes the
 * fence does the same.
 */
export class Seats {
  readonly #taken = new Map<string, { leave: () => void; left: Promise<void> }>();

  /** `leave` is called when somebody else wants the seat. Returns what gives it free. */
  async take(key: string, leave: () => void): Promise<() => void> {
    for (let taken = this.#taken.get(key); taken; taken = this.#taken.get(key)) {
      taken.leave();
      await taken.left;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#taken.set(key, { leave, left: promise });
    return () => {
      this.#taken.delete(key);
      resolve();
    };
  }
}
