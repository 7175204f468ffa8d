/** Events that a lane has taken and dead letters that it has made, lately: of what is longer ago half counts, then a quarter. */
export class Tally {
  #passed = 0;
  #kept = 0;

  get passed(): number {
    return this.#passed;
  }

  get kept(): number {
    return this.#kept;
  }

  pass(events: number): void {
    this.#passed += events;
    if (this.#passed < lately) return;
    this.#passed /= 2;
    this.#kept /= 2;
  }

  keep(): void {
    this.#kept++;
  }

  /** A person has been told. */
  forget(): void {
    this.#passed = 0;
    this.#kept = 0;
  }
}

const lately = 20_000;
