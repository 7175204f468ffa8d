import type { Clock } from '../../core/clock.ts';
import type { Random } from '../../bench/load/random.ts';

type Task = { readonly process: SimulatedProcess; readonly effect: () => unknown; readonly deliver: (outcome: Outcome) => void; outcome?: Outcome };
type Outcome = { readonly value: unknown } | { readonly error: unknown };
type Timer = { readonly process: SimulatedProcess | undefined; readonly dueMs: number; readonly order: number; readonly run: () => void };

/**
 * Who does what next, by a seed: everything that real programs wait for (a disk, a server, a timer) is a task here, and one
 * of those that could happen next does. Between two tasks all promises settle, so a run is a function of its seed.
 */
export class Scheduler {
  readonly #random: Random;
  #ready: Task[] = [];
  #timers: Timer[] = [];
  #order = 0;
  /** Milliseconds since 1970, of the world. */
  nowMs: number;
  /** How many tasks and timers there were. */
  steps = 0;

  constructor(random: Random, startMs: number) {
    this.#random = random;
    this.nowMs = startMs;
  }

  process(name: string): SimulatedProcess {
    return new SimulatedProcess(this, name);
  }

  /** Something that the process waits for. It happens later or never, and the process learns of it or not. */
  task(process: SimulatedProcess, effect: () => unknown, deliver: (outcome: Outcome) => void): void {
    this.#ready.push({ process, effect, deliver });
  }

  /** `process` undefined: the world's own. Returns what takes it back. */
  timer(process: SimulatedProcess | undefined, ms: number, then: () => void): () => void {
    const timer: Timer = { process, dueMs: this.nowMs + Math.max(0, ms), order: this.#order++, run: then };
    let place = this.#timers.length;
    while (place > 0 && isAfter(this.#timers[place - 1]!, timer)) place--;
    this.#timers.splice(place, 0, timer);
    return () => {
      const found = this.#timers.indexOf(timer);
      if (found >= 0) this.#timers.splice(found, 1);
    };
  }

  /** Until `done`. Throws if nothing can happen any more, or too much did. */
  async run(done: () => boolean, untilMs: number, mostSteps: number): Promise<'done' | 'late'> {
    for (;;) {
      await settled();
      if (done()) return 'done';
      if (this.nowMs > untilMs || this.steps > mostSteps) return 'late';
      this.#step();
    }
  }

  /** A killed process: what it asked for may have happened, and nobody hears of it. */
  forget(process: SimulatedProcess): void {
    for (const task of this.#ready) if (task.process === process && task.outcome === undefined && this.#random.next() < 0.5) outcomeOf(task);
    this.#ready = this.#ready.filter((task) => task.process !== process);
    this.#timers = this.#timers.filter((timer) => timer.process !== process);
  }

  /** A stopped process: what is on its way happens, and it hears of that when it goes on. */
  finishHalf(process: SimulatedProcess): void {
    for (const task of this.#ready) if (task.process === process && this.#random.next() < 0.5) task.outcome ??= outcomeOf(task);
  }

  #step(): void {
    this.steps++;
    const ready = this.#ready.filter(({ process }) => process.state === 'running');
    const timer = this.#timers.find(({ process }) => process === undefined || process.state === 'running');
    const timerIsDue = timer !== undefined && timer.dueMs <= this.nowMs;
    if (ready.length > 0 && !(timerIsDue && this.#random.next() < 0.3)) {
      const task = ready[this.#random.below(ready.length)]!;
      this.#ready.splice(this.#ready.indexOf(task), 1);
      this.nowMs += this.#random.below(3);
      task.deliver(task.outcome ?? outcomeOf(task));
      return;
    }
    if (!timer) throw new Error('the simulation stands still: nobody waits for anything');
    this.#timers.splice(this.#timers.indexOf(timer), 1);
    this.nowMs = Math.max(this.nowMs, timer.dueMs);
    timer.run();
  }
}

/** A worker's process: it runs, stands still (SIGSTOP), or is gone. */
export class SimulatedProcess {
  readonly name: string;
  readonly #scheduler: Scheduler;
  state: 'running' | 'stopped' | 'dead' = 'running';
  /** Of its own clock to the world's. */
  skewMs = 0;
  readonly clock: Clock;

  constructor(scheduler: Scheduler, name: string) {
    this.name = name;
    this.#scheduler = scheduler;
    const after = (ms: number, then: () => void) => scheduler.timer(this, ms, then);
    this.clock = {
      now: () => scheduler.nowMs + this.skewMs,
      steady: () => scheduler.nowMs,
      after,
      every: (ms, then) => {
        let cancel = () => {};
        const again = () => {
          cancel = after(ms, () => {
            again();
            then();
          });
        };
        again();
        return () => cancel();
      },
    };
  }

  /** `effect` happens elsewhere, some time; the promise settles with its outcome if the process lives to hear of it. */
  io<T>(effect: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (this.state !== 'dead') this.#scheduler.task(this, effect, (outcome) => ('error' in outcome ? reject(outcome.error as Error) : resolve(outcome.value as T)));
    return promise;
  }

  kill(): void {
    this.state = 'dead';
    this.#scheduler.forget(this);
  }

  stop(): void {
    this.state = 'stopped';
    this.#scheduler.finishHalf(this);
  }

  wake(): void {
    if (this.state === 'stopped') this.state = 'running';
  }
}

function outcomeOf({ effect }: Task): Outcome {
  try {
    return { value: effect() };
  } catch (error) {
    return { error };
  }
}

function isAfter(one: Timer, other: Timer): boolean {
  return one.dueMs > other.dueMs || (one.dueMs === other.dueMs && one.order > other.order);
}

/** All promises that can settle have: a tick comes when no microtask is left, and without a turn of the event loop. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
