import type { Clock } from '../../core/clock.ts';
import type { SourceStream } from './source.ts';

const lookMs = 10;

/** Reads nothing from the source while there is too much on its way to disk, in the spool or before the lanes: the slot keeps the rest. */
export class BackPressure {
  readonly #clock: Clock;
  readonly #stream: Pick<SourceStream, 'hold' | 'release'>;
  readonly #isTooMuch: () => boolean;
  #held = false;
  #cancel: (() => void) | undefined;
  #ended = false;

  constructor(clock: Clock, stream: Pick<SourceStream, 'hold' | 'release'>, isTooMuch: () => boolean) {
    this.#clock = clock;
    this.#stream = stream;
    this.#isTooMuch = isTooMuch;
  }

  balance(): void {
    if (this.#ended) return;
    const hold = this.#isTooMuch();
    if (hold && this.#cancel === undefined) {
      this.#cancel = this.#clock.after(lookMs, () => {
        this.#cancel = undefined;
        this.balance();
      });
    }
    if (hold === this.#held) return;
    this.#held = hold;
    if (hold) this.#stream.hold();
    else this.#stream.release();
  }

  /** From now on nothing is read at all. */
  end(): void {
    this.#ended = true;
    this.#cancel?.();
    this.#stream.hold();
  }
}
