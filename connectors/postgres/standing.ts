import type { Clock } from '../../core/clock.ts';
import type { CaptureOptions } from './capture.ts';
import type { RunningCapture } from './running-capture.ts';

export type Between = Pick<CaptureOptions, 'take' | 'leave'>;

/**
 * Between two steps of one process a pipeline's capture stands: it reads nothing, and its replication connection stays.
 * Who reads the slot anew has the source decode again all that the slot keeps, and for a lane that is behind that is up to
 * maxSlotLag: every other lane would wait for it at each step's end. If no step goes on with it, it ends after a moment.
 */
export class Standing {
  readonly #clock: Clock;
  #left: { readonly capture: RunningCapture; readonly forget: () => void } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One step, of which there is one at a time: `work` may take what stands, and leave what is to stand after it. What it does not leave is ended. */
  async step<T>(work: (between: Between) => Promise<T>): Promise<T> {
    // a step that does not get so far must not keep its source from stopping (E7)
    this.#keep(this.#taken(), beginsWithinMs);
    let found: RunningCapture | undefined;
    let left: RunningCapture | undefined;
    try {
      return await work({
        take: () => (found = this.#taken()),
        leave: (capture) => {
          left = capture;
          this.#keep(capture, standsMs);
        },
      });
    } finally {
      if (!left) await this.end();
      if (found !== left) await found?.close();
    }
  }

  async end(): Promise<void> {
    await this.#taken()?.close();
  }

  #keep(capture: RunningCapture | undefined, forMs: number): void {
    if (capture) this.#left = { capture, forget: this.#clock.after(forMs, () => void this.end()) };
  }

  #taken(): RunningCapture | undefined {
    const left = this.#left;
    this.#left = undefined;
    left?.forget();
    return left?.capture;
  }
}

/** One step follows the other in some 50 ms, on a busy machine later. Who pauses in order to drop the slot, or stops the source, does not wait long. */
const standsMs = 2_000;
/** More than a sink that does not answer is waited for. */
const beginsWithinMs = 5_000;
