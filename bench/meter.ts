import type { Client } from 'pg';
import type { BenchInstance } from './instance.ts';
import { cpuSeconds, cpuSecondsOfMainThread, cpuSecondsOfTree, writtenBytesOfTree } from './processes.ts';

/** By process, in the order in which they are shown. */
export type ByProcess = Readonly<Record<string, number>>;

export type Used = {
  /** Seconds. Of PostgreSQL the walsenders and what serves the load are told apart. */
  readonly cpu: ByProcess;
  /** Bytes handed to the file system. */
  readonly written: ByProcess;
  /** Seconds, of the worker's main thread. */
  readonly mainThread: number;
};

/** Backends of this name write events. */
export const writerName = 'sluice bench writer';
const writerNames = [writerName, 'sluice load'];
const names = ['postgres', 'redis', 'clickhouse', 'worker', 'api', 'receiver', 'temporal'] as const;

/** What is not counted as the pipeline's cost. */
export const apart: ReadonlySet<string> = new Set(['temporal', 'load']);

export function costOf(cpu: ByProcess): number {
  return Object.entries(cpu).reduce((sum, [name, seconds]) => (apart.has(name) ? sum : sum + seconds), 0);
}

/** What each process uses from the start on. */
export class Meter {
  readonly #instance: BenchInstance;
  readonly #client: Client;
  readonly #slots: Set<string>;
  readonly #loadPid: number | undefined;
  readonly #writers: readonly number[];
  readonly #before: Reading;
  /** By process id; those that began after the meter have used nothing before it. */
  readonly #walsenders = new Map<number, { readonly before: number; seconds: number }>();

  /** `loadPid`: of the load generator, if one runs. */
  static async start(instance: BenchInstance, client: Client, slots: readonly string[], loadPid?: number): Promise<Meter> {
    const { rows } = await client.query<{ pid: number }>('select pid from pg_stat_activity where application_name = any($1)', [writerNames]);
    const meter = new Meter(instance, client, slots, loadPid, rows.map(({ pid }) => pid));
    await meter.#find(cpuSeconds);
    return meter;
  }

  private constructor(instance: BenchInstance, client: Client, slots: readonly string[], loadPid: number | undefined, writers: readonly number[]) {
    this.#instance = instance;
    this.#client = client;
    this.#slots = new Set(slots);
    this.#loadPid = loadPid;
    this.#writers = writers;
    this.#before = this.#read();
  }

  /** Looks what the walsenders of the slots have used: one that ends is not asked any more. Before all have been found it costs a query. */
  async look(): Promise<void> {
    await this.#find(() => 0);
    for (const [pid, walsender] of this.#walsenders) walsender.seconds = Math.max(walsender.seconds, cpuSeconds(pid));
  }

  async #find(before: (pid: number) => number): Promise<void> {
    if (this.#slots.size === 0) return;
    const { rows } = await this.#client.query<{ slot: string; pid: number }>('select slot_name as slot, active_pid as pid from pg_replication_slots where slot_name = any($1) and active_pid is not null', [[...this.#slots]]);
    for (const { slot, pid } of rows) {
      this.#slots.delete(slot);
      this.#walsenders.set(pid, { before: before(pid), seconds: before(pid) });
    }
  }

  used(): Used {
    const now = this.#read();
    const walsender = [...this.#walsenders.values()].reduce((sum, { before, seconds }) => sum + seconds - before, 0);
    const writing = now.writers - this.#before.writers;
    const cpu = differences(now.cpu, this.#before.cpu);
    return {
      cpu: { walsender, ...cpu, postgres: cpu['postgres']! - walsender - writing, load: now.load - this.#before.load + writing },
      written: differences(now.written, this.#before.written),
      mainThread: now.mainThread - this.#before.mainThread,
    };
  }

  #mainThread(): number {
    const pid = this.#instance.pidOf('worker');
    return pid === undefined ? 0 : cpuSecondsOfMainThread(pid);
  }

  #read(): Reading {
    const each = (read: (pid: number) => number) =>
      Object.fromEntries(
        names.map((name) => {
          const pid = this.#instance.pidOf(name);
          return [name, pid === undefined ? 0 : read(pid)];
        }),
      );
    return {
      cpu: each(cpuSecondsOfTree),
      written: each(writtenBytesOfTree),
      mainThread: this.#mainThread(),
      writers: this.#writers.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
      load: this.#loadPid === undefined ? 0 : cpuSecondsOfTree(this.#loadPid),
    };
  }
}

type Reading = { readonly cpu: ByProcess; readonly written: ByProcess; readonly mainThread: number; readonly writers: number; readonly load: number };

function differences(now: ByProcess, before: ByProcess): Record<string, number> {
  return Object.fromEntries(Object.entries(now).map(([name, value]) => [name, value - before[name]!]));
}
