/**
 * How many events one apply takes of a destination that does nothing else meanwhile: as many as take it about `mostMs`, by
 * what they took before. Redis runs one script at a time, for all of its users, and a new member costs it ten times as
 * much as one that is there.
 */
export class ApplyLimit {
  readonly #mostMs: number;
  #events = first;

  constructor(mostMs: number) {
    this.#mostMs = mostMs;
  }

  get events(): number {
    return this.#events;
  }

  applied(events: number, ms: number): void {
    const fitting = (events * this.#mostMs) / Math.max(ms, 1);
    // a few say little of what many would take, unless they alone took too long
    if (ms > this.#mostMs || events >= this.#events / 2) this.#events = Math.ceil(Math.min(Math.max(fitting, least), this.#events * 4));
  }
}

const first = 20_000;
const least = 1_000;
