import { isStopped, type NumberedStep, type StoppedSteps } from '../core/stopped-steps.ts';

type Watched = { readonly step: NumberedStep; readonly stop: () => void };

/**
 * The steps in this process whose next heartbeat is far, each of which is asked to end when its workflow has stopped it (E26).
 * The rows are read when a step begins, as it may have been stopped before, and at each ring; whatever goes wrong with that,
 * the heartbeat brings it.
 */
export class StepStops {
  readonly #read: (runs: readonly string[]) => Promise<StoppedSteps>;
  readonly #watched = new Set<Watched>();
  #reading = false;
  #again = false;

  constructor(read: (runs: readonly string[]) => Promise<StoppedSteps>) {
    this.#read = read;
  }

  /** `stop` is called once, if ever. Returns what ends the watch. */
  watch(step: NumberedStep, stop: () => void): () => void {
    const watched = { step, stop };
    this.#watched.add(watched);
    void this.ring();
    return () => void this.#watched.delete(watched);
  }

  /** There may be something new. */
  async ring(): Promise<void> {
    // what comes while the rows are on their way may not be among them
    this.#again = true;
    if (this.#reading) return;
    this.#reading = true;
    while (this.#again && this.#watched.size > 0) {
      this.#again = false;
      const runs = new Set([...this.#watched].map(({ step }) => step.run));
      // what cannot be read now is read when the listener is back: it rings then
      this.#tell(await this.#read([...runs]).catch(() => []));
    }
    this.#reading = false;
  }

  #tell(stopped: StoppedSteps): void {
    for (const watched of this.#watched) {
      if (!isStopped(watched.step, stopped)) continue;
      this.#watched.delete(watched);
      watched.stop();
    }
  }
}
