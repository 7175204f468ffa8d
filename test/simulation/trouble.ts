import { pause } from '../../core/clock.ts';
import { TransientError } from '../../connectors/transient-error.ts';
import type { SinkFailure, SinkName } from './plan.ts';
import type { SimulatedProcess } from './scheduler.ts';

/** Which outside systems fail just now, and how. */
export class Trouble {
  readonly #failing = new Map<SinkName, { readonly how: SinkFailure; readonly byMs: number }>();
  readonly #restarts = new Map<SinkName, number>();

  begin(sink: SinkName, how: SinkFailure, byMs: number): void {
    this.#failing.set(sink, { how, byMs });
  }

  end(sink: SinkName): void {
    this.#failing.delete(sink);
  }

  endAll(): void {
    this.#failing.clear();
  }

  /** The system stops and starts: what was under way fails. */
  restart(sink: SinkName): void {
    this.#restarts.set(sink, this.#restartsOf(sink) + 1);
  }

  /** A call of an outside system. `half`: what may have happened of it when it fails; for one atomic step nothing or all. */
  async call<T>(process: SimulatedProcess, sink: SinkName, effect: () => T, half: () => unknown = () => {}): Promise<T> {
    const begun = this.#restartsOf(sink);
    const failing = this.#failing.get(sink);
    if (failing?.how === 'slow') await pause(process.clock, failing.byMs, never);
    return process.io(() => {
      if (begun !== this.#restartsOf(sink)) throw new TransientError(`${sink} was restarted`);
      const how = this.#failing.get(sink)?.how;
      if (how === undefined || how === 'slow') return effect();
      if (how === 'lost reply') effect();
      if (how === 'half') half();
      throw new TransientError(`${sink} is in trouble (${how})`);
    });
  }

  #restartsOf(sink: SinkName): number {
    return this.#restarts.get(sink) ?? 0;
  }
}

const never = new AbortController().signal;
