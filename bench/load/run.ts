import { setTimeout as wait } from 'node:timers/promises';
import type { Client } from 'pg';
import type { LoadOptions } from './options.ts';
import { Random } from './random.ts';
import { connectSource, explained, foreignKeyViolation, isPassing } from './source.ts';
import type { Workload } from './workload.ts';

export type Written = { inserts: number; late: number; updates: number; deletes: number; renames: number };

export type LoadResult = Written & { readonly seconds: number };

/** Events per second, all kinds together. */
export function rateOf({ inserts, updates, deletes, seconds }: LoadResult): number {
  return seconds > 0 ? (inserts + updates + deletes) / seconds : 0;
}

/**
 * Writes the burst, then keeps the rate until the signal or the duration ends it. `onReport` gets what was written since
 * the last report. The result is of the time after the burst, or of the burst if there is no rate. Throws LoadFailed.
 */
export async function runLoad(options: {
  readonly url: string;
  readonly workload: Workload;
  readonly load: Omit<LoadOptions, 'pipeline'>;
  readonly signal: AbortSignal;
  readonly reportMs: number;
  readonly onReport: (result: LoadResult) => void;
}): Promise<LoadResult> {
  const client = await connectSource(options.url);
  try {
    await options.workload.prepare(client);
    const writer = new Writer(client, options.workload, options.load);
    const burst = await writeBurst(writer, options.load.burst, options.signal);
    if (options.load.rate === 0) return burst;
    if (options.load.burst > 0) options.onReport(burst);
    return await keepRate(writer, options);
  } catch (error) {
    throw explained(error, options.url);
  } finally {
    await client.end().catch(() => {});
  }
}

async function writeBurst(writer: Writer, events: number, signal: AbortSignal): Promise<LoadResult> {
  const startedAt = performance.now();
  for (let left = events; left > 0 && !signal.aborted; left -= burstRows) await writer.write(Math.min(burstRows, left));
  return { ...writer.takeWritten(), seconds: (performance.now() - startedAt) / 1000 };
}

async function keepRate(writer: Writer, { load, signal, reportMs, onReport }: Parameters<typeof runLoad>[0]): Promise<LoadResult> {
  const startedAt = performance.now();
  const endsAt = startedAt + (load.durationMs ?? Number.POSITIVE_INFINITY);
  const total: Written = nothing();
  let reportedAt = startedAt;
  let planned = 0;
  let nextRename = startedAt + renameMs;

  const report = (now: number) => {
    const written = writer.takeWritten();
    for (const key of Object.keys(total) as (keyof Written)[]) total[key] += written[key];
    onReport({ ...written, seconds: (now - reportedAt) / 1000 });
    reportedAt = now;
  };

  for (let now = startedAt; now < endsAt && !signal.aborted; now = performance.now()) {
    const due = Math.floor(((now - startedAt) * load.rate) / 1000) - planned;
    if (due > 0) {
      const events = Math.min(due, burstRows);
      await writer.write(events);
      planned += events;
    }
    if (now >= nextRename) {
      await writer.rename();
      nextRename = now + renameMs;
    }
    if (now - reportedAt >= reportMs) report(now);
    const nextEvent = startedAt + ((planned + 1) * 1000) / load.rate;
    const until = Math.min(Math.max(nextEvent, now + tickMs), endsAt);
    await wait(Math.max(0, until - performance.now()), undefined, { signal }).catch(() => {});
  }
  const endedAt = performance.now();
  const rest = writer.takeWritten();
  for (const key of Object.keys(total) as (keyof Written)[]) total[key] += rest[key];
  return { ...total, seconds: (endedAt - startedAt) / 1000 };
}

/** Divides events into inserts, updates and deletes, exactly by their parts over time. */
class Writer {
  readonly #client: Client;
  readonly #workload: Workload;
  readonly #parts: Pick<LoadOptions, 'updates' | 'deletes' | 'late'>;
  readonly #random = new Random(7);
  readonly #owed = { updates: 0, deletes: 0, late: 0 };
  #written = nothing();

  constructor(client: Client, workload: Workload, parts: Pick<LoadOptions, 'updates' | 'deletes' | 'late'>) {
    this.#client = client;
    this.#workload = workload;
    this.#parts = parts;
  }

  /** Each kind in a transaction of its own. */
  async write(events: number): Promise<void> {
    const updates = this.#share('updates', events);
    const deletes = this.#share('deletes', events);
    const inserts = events - updates - deletes;
    const late = this.#share('late', inserts);
    const written = this.#written;
    await this.#attempt(async () => {
      if (inserts === 0) return;
      written.inserts += await this.#workload.insert(this.#client, this.#eventTimes(inserts, late));
      written.late += late;
    });
    await this.#attempt(async () => {
      if (updates > 0) written.updates += await this.#workload.update(this.#client, updates);
    });
    await this.#attempt(async () => {
      if (deletes > 0) written.deletes += await this.#workload.delete(this.#client, deletes);
    });
  }

  async rename(): Promise<void> {
    await this.#attempt(() => this.#workload.rename(this.#client));
    this.#written.renames++;
  }

  takeWritten(): Written {
    const written = this.#written;
    this.#written = nothing();
    return written;
  }

  #share(kind: 'updates' | 'deletes' | 'late', events: number): number {
    const owed = this.#owed[kind] + events * this.#parts[kind];
    const share = Math.min(Math.floor(owed), events);
    this.#owed[kind] = owed - share;
    return share;
  }

  /** Now, but for the way from a device to us; the late ones first. */
  #eventTimes(count: number, late: number): number[] {
    const now = Date.now();
    return Array.from({ length: count }, (_, index) =>
      index < late ? now - lateFromMs - this.#random.below(lateToMs - lateFromMs) : now - this.#random.below(jitterMs),
    );
  }

  /** The tables are everybody's: someone may lock, delete or truncate in between. What was not written is not counted. */
  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (error.code === foreignKeyViolation) await this.#workload.prepare(this.#client);
    }
  }
}

function nothing(): Written {
  return { inserts: 0, late: 0, updates: 0, deletes: 0, renames: 0 };
}

const tickMs = 20;
const burstRows = 1_000;
const jitterMs = 500;
const renameMs = 10_000;
/** Beyond the watermark's delay and the allowed lateness of the sample pipelines. */
const lateFromMs = 90_000;
const lateToMs = 600_000;
