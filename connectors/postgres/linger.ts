import type { Clock } from '../../core/clock.ts';

/**
 * When the running segment is cut. While the stream is live, `lingerMs` after its first transaction, or with the end of
 * the one that comes in then. But every segment costs a sync, and every lane a call; who is seconds behind gains nothing
 * by tenths. So, as long as rows keep coming, a fifth of the delay, and half a second at most. Lanes do the same, by what
 * segments say of the delay.
 */
export class Linger {
  readonly #clock: Clock;
  readonly #lingerMs: number;
  readonly #rows: () => number;
  readonly #cut: (delayMs: number | undefined) => boolean;
  /** It is time, and a transaction is coming in: its end cuts. */
  #due: { readonly delayMs: number | undefined } | undefined;
  #cancel: (() => void) | undefined;
  #seenRows = 0;
  #endsAt = 0;
  #serverTimeHigh = 0;
  #serverTimeLow = 0;

  /** `rows`: how many the running segment has. `cut` is told how late the stream is, if more is on its way, and returns false in the middle of a transaction. */
  constructor(clock: Clock, lingerMs: number, { rows, cut }: { readonly rows: () => number; readonly cut: (delayMs: number | undefined) => boolean }) {
    this.#clock = clock;
    this.#lingerMs = lingerMs;
    this.#rows = rows;
    this.#cut = cut;
  }

  get running(): boolean {
    return this.#cancel !== undefined;
  }

  /** With every message: the source's clock when it was sent, microseconds since 2000 as high and low word. */
  serverTime(high: number, low: number): void {
    this.#serverTimeHigh = high;
    this.#serverTimeLow = low;
  }

  /** A transaction has ended that was committed at this time, microseconds since 1970, by the same clock. */
  begin(commitTimeUs: number): void {
    if (this.#cancel) return;
    if (this.#due) {
      const { delayMs } = this.#due;
      this.#due = undefined;
      this.#cut(delayMs);
      return;
    }
    const delayMs = this.delayMs(commitTimeUs);
    this.#endsAt = this.#clock.steady() + Math.min((delayMs ?? 0) / 5, longestMs);
    this.#wait(delayMs);
  }

  /** Of a transaction that comes in now; undefined: so little that the stream is live. */
  delayMs(commitTimeUs: number): number | undefined {
    const delayMs = Math.round((this.#serverTimeHigh * 4294967296 + this.#serverTimeLow + year2000Us - commitTimeUs) / 1000);
    return delayMs / 5 > this.#lingerMs ? delayMs : undefined;
  }

  /** The segment was cut. */
  end(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#due = undefined;
  }

  #wait(delayMs: number | undefined): void {
    this.#seenRows = this.#rows();
    this.#cancel = this.#clock.after(this.#lingerMs, () => {
      const comesMore = this.#rows() > this.#seenRows;
      if (comesMore && this.#clock.steady() < this.#endsAt) return this.#wait(delayMs);
      this.#cancel = undefined;
      const told = comesMore ? delayMs : undefined;
      if (!this.#cut(told)) this.#due = { delayMs: told };
    });
  }
}

const longestMs = 500;
const year2000Us = 946_684_800_000_000;
