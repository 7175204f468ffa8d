import { TransientError } from '../../connectors/transient-error.ts';
import type { SinkFailure, SinkName } from './plan.ts';
import type { SimulatedProcess } from './scheduler.ts';

/** Which outside systems fail just now, and how. */
export class Trouble {
  readonly #failing = new Map<SinkName, SinkFailure>();

  begin(sink: SinkName, how: SinkFailure): void {
    this.#failing.set(sink, how);
  }

  end(sink: SinkName): void {
    this.#failing.delete(sink);
  }

  endAll(): void {
    this.#failing.clear();
  }

  /** A call of an outside system. `half`: what may have happened of it when it fails; for one atomic step nothing or all. */
  call<T>(process: SimulatedProcess, sink: SinkName, effect: () => T, half: () => unknown = () => {}): Promise<T> {
    return process.io(() => {
      const how = this.#failing.get(sink);
      if (how === undefined) return effect();
      if (how === 'lost reply') effect();
      if (how === 'half') half();
      throw new TransientError(`${sink} is in trouble (${how})`);
    });
  }
}
