import type { Random } from '../bench/load/random.ts';
import { startProcess } from '../infra/supervisor/product.ts';
import { laboratoryRows, writeLaboratory } from './laboratory/write.ts';
import type { LogFile } from './log-file.ts';
import { writeRandomTransactions } from './random-transactions.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

/** What the load generator is asked for. */
export type LoadParameters = {
  /** Events per second. */
  readonly rate: number;
  readonly updates: string;
  readonly deletes: string;
  readonly late: string;
  /** Of the transactions of every shape beside it; undefined: there are none. */
  readonly transactionSeed: number | undefined;
};

export function drawLoad(random: Random): LoadParameters {
  return {
    rate: 100 * (2 + random.below(8)),
    updates: `${2 + random.below(9)}%`,
    deletes: `${1 + random.below(4)}%`,
    late: `${random.below(5)}%`,
    transactionSeed: random.word(),
  };
}

/** The load generator, and beside it transactions of every shape. */
export class Load {
  readonly #world: World;
  readonly #parameters: LoadParameters;
  readonly #end = new AbortController();
  #hasGenerator = false;
  #log: LogFile | undefined;
  #transactions: Promise<Readonly<Record<string, number>>> | undefined;
  /** Transactions by hand wait for it. */
  #gate = Promise.resolve();
  #running: Promise<unknown> = Promise.resolve();

  constructor(world: World, parameters: LoadParameters) {
    this.#world = world;
    this.#parameters = parameters;
  }

  async start(): Promise<void> {
    const { rate, updates, deletes, late, transactionSeed } = this.#parameters;
    const { name, config, instance } = this.#world;
    const gate = () => this.#gate;
    if (name === 'laboratory') {
      this.#transactions = writeLaboratory(config.sourceUrl, transactionSeed ?? 0, gate, this.#end.signal);
      return;
    }
    this.#log = this.#world.log('load');
    const args = ['--pipeline', name, '--rate', String(rate), '--updates', updates, '--deletes', deletes, '--late', late];
    await startProcess(instance.start, { name: 'load', entry: 'bench/load/main.ts', args, stopMs: 5_000 });
    this.#hasGenerator = true;
    if (transactionSeed !== undefined) this.#transactions = writeRandomTransactions(config.sourceUrl, name, transactionSeed, gate, this.#end.signal);
  }

  /** Nothing writes to the pipeline's tables while `work` goes on, but what was begun before. One at a time. */
  pausedWhile<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#running.then(() => this.#pausedWhile(work));
    this.#running = run.catch(() => {});
    return run;
  }

  async #pausedWhile<T>(work: () => Promise<T>): Promise<T> {
    const opened = Promise.withResolvers<void>();
    this.#gate = opened.promise;
    const { processes } = this.#world;
    // it may just be starting again, after a fault that it did not survive
    if (this.#hasGenerator) await until('the load generator to run', () => processes.identity('load') !== undefined, { timeoutMs: 20_000, signal: this.#end.signal });
    const generator = this.#hasGenerator ? processes.signal('load', 'SIGSTOP') : undefined;
    try {
      return await work();
    } finally {
      if (generator) process.kill(generator.pid, 'SIGCONT');
      opened.resolve();
    }
  }

  /** Rows that were inserted, but by transactions by hand; once it has stopped. At least so many: a generator that was killed has said it each five seconds. */
  async inserted(): Promise<number> {
    if (!this.#log) return laboratoryRows * ((await this.#transactions)?.['inserts'] ?? 0);
    return insertsSaid((await this.#log.text()).split('\n'));
  }

  /** Returns what the transactions by hand were. */
  async stop(): Promise<Readonly<Record<string, number>> | undefined> {
    this.#end.abort();
    if (this.#hasGenerator) await this.#world.processes.stop('load');
    return this.#transactions;
  }
}

/** Out of what one generator after another has said: parts, and at an orderly end how many they were all in all. */
export function insertsSaid(lines: readonly string[]): number {
  let [before, parts] = [0, 0];
  for (const line of lines) {
    const inserts = Number(/\(([\d,]+) inserts/.exec(line)?.[1]!.replaceAll(',', '') ?? 0);
    if (line.includes('all in')) [before, parts] = [before + Math.max(parts, inserts), 0];
    else parts += inserts;
  }
  return before + parts;
}
