import type { Clock } from '../../core/clock.ts';
import type { CaptureOptions, StandingCapture } from './capture.ts';

export type Between = Pick<CaptureOptions, 'standing' | 'leave'>;

/**
 * Between two steps of one process a pipeline's capture stands: it reads nothing, and its replication connection stays.
 * Who reads the slot anew has the source decode again all that the slot keeps, and for a lane that is behind that is up to
 * maxSlotLag: every other lane would wait for it at each step's end. If no step goes on with it, it ends after a moment.
 */
export class Standing {
  readonly #clock: Clock;
  #left: { readonly capture: StandingCapture; readonly keep: () => void } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One step, of which there is one at a time: `work` gets what stands, and may leave what is to stand after it. What it does not leave is ended. */
  async step<T>(work: (between: Between) => Promise<T>): Promise<T> {
    const found = this.#take();
    let left: StandingCapture | undefined;
    try {
      return await work({ standing: found, leave: (capture) => (left = capture) });
    } finally {
      if (found !== left) await found?.close();
      if (left) this.#left = { capture: left, keep: this.#clock.after(standsMs, () => void this.end()) };
    }
  }

  async end(): Promise<void> {
    await this.#take()?.close();
  }

  #take(): StandingCapture | undefined {
    const left = this.#left;
    this.#left = undefined;
    left?.keep();
    return left?.capture;
  }
}

/** One step follows the other in some 50 ms. Who pauses in order to drop the slot, or stops the source, does not wait long. */
const standsMs = 1_000;
