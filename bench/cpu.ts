import type { Client } from 'pg';
import type { BenchInstance } from './instance.ts';
import { cpuSeconds, cpuSecondsOfTree } from './processes.ts';

/** CPU seconds by process; the walsender is told apart from the rest of PostgreSQL. */
export type CpuByProcess = Readonly<Record<string, number>>;

const names = ['postgres', 'redis', 'clickhouse', 'worker', 'api', 'receiver', 'temporal'] as const;

/** What is not counted as the pipeline's cost. */
export const apart: ReadonlySet<string> = new Set(['temporal']);

export class CpuMeter {
  readonly #instance: BenchInstance;
  readonly #before: CpuByProcess;
  #walsender: { pid: number; seconds: number } | undefined;

  constructor(instance: BenchInstance) {
    this.#instance = instance;
    this.#before = this.#read();
  }

  /** Looks which walsender serves the slot, and what it has used so far. Before one has been found it costs a query. */
  async watch(client: Client, slot: string): Promise<void> {
    if (!this.#walsender) {
      const { rows } = await client.query<{ pid: number | null }>('select active_pid as pid from pg_replication_slots where slot_name = $1', [slot]);
      if (rows[0]?.pid) this.#walsender = { pid: rows[0].pid, seconds: 0 };
    }
    if (this.#walsender) this.#walsender.seconds = Math.max(this.#walsender.seconds, cpuSeconds(this.#walsender.pid));
  }

  /** Since the meter was made. */
  used(): CpuByProcess {
    const now = this.#read();
    const used = Object.fromEntries(names.map((name) => [name, now[name]! - this.#before[name]!]));
    const walsender = this.#walsender?.seconds ?? 0;
    return { walsender, ...used, postgres: used['postgres']! - walsender };
  }

  #read(): CpuByProcess {
    return Object.fromEntries(
      names.map((name) => {
        const pid = this.#instance.pidOf(name);
        return [name, pid === undefined ? 0 : cpuSecondsOfTree(pid)];
      }),
    );
  }
}
