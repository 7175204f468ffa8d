import { peakMiB } from '../bench/processes.ts';
import type { Processes } from './processes.ts';

const lookMs = 500;

/** The most memory that any of the worker processes has had, and how many there were. */
export class WorkerMemory {
  readonly #processes: Processes;
  readonly #timer: NodeJS.Timeout;
  readonly #seen = new Set<string>();
  #peak = 0;

  constructor(processes: Processes) {
    this.#processes = processes;
    this.#timer = setInterval(() => this.look(), lookMs);
    this.look();
  }

  get peakMiB(): number {
    return this.#peak;
  }

  get count(): number {
    return this.#seen.size;
  }

  look(): void {
    for (const name of ['worker', 'worker-2'] as const) {
      const identity = this.#processes.identity(name);
      if (!identity) continue;
      this.#seen.add(`${identity.pid} ${identity.started}`);
      try {
        this.#peak = Math.max(this.#peak, peakMiB(identity.pid));
      } catch {
        // it ended just now
      }
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
