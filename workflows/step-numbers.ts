/** The numbers by which what runs now can be told to end: those of all parts together rise from 1, in each run anew (decision 11). */
export class StepNumbers {
  readonly #running = new Map<string, number>();
  #begun = 0;

  begin(part: string): number {
    this.#running.set(part, ++this.#begun);
    return this.#begun;
  }

  end(part: string): void {
    this.#running.delete(part);
  }

  /** Of those of these parts that run: who is to be told that it is stopped. Each is asked for once. */
  take(parts: Iterable<string>): Readonly<Record<string, number>> {
    const taken: Record<string, number> = {};
    for (const part of parts) {
      const number = this.#running.get(part);
      if (number !== undefined) taken[part] = number;
      this.#running.delete(part);
    }
    return taken;
  }
}
