import { grown } from '../columns/column.ts';
import type { Transactions } from '../segment.ts';

/** The running segment's transactions, written a row each; see Transactions. */
export class TransactionLog {
  count = 0;
  #lsns = new Uint32Array(128);
  #commitTimes = new Float64Array(64);
  #lastOrdinals = new Uint32Array(64);
  #complete = new Uint8Array(64);
  #clocks = new Float64Array(64);

  add(row: { lsnLow: number; lsnHigh: number; commitTime: number; lastOrdinal: number; complete: boolean; clock: number }): void {
    const index = this.count++;
    this.#lsns = grown(this.#lsns, this.count * 2);
    this.#commitTimes = grown(this.#commitTimes, this.count);
    this.#lastOrdinals = grown(this.#lastOrdinals, this.count);
    this.#complete = grown(this.#complete, this.count);
    this.#clocks = grown(this.#clocks, this.count);
    this.#lsns[index * 2] = row.lsnLow;
    this.#lsns[index * 2 + 1] = row.lsnHigh;
    this.#commitTimes[index] = row.commitTime;
    this.#lastOrdinals[index] = row.lastOrdinal;
    this.#complete[index] = row.complete ? 1 : 0;
    this.#clocks[index] = row.clock;
  }

  view(): Transactions {
    return {
      count: this.count,
      lsns: this.#lsns.subarray(0, this.count * 2),
      commitTimes: this.#commitTimes.subarray(0, this.count),
      lastOrdinals: this.#lastOrdinals.subarray(0, this.count),
      complete: this.#complete.subarray(0, this.count),
      clocks: this.#clocks.subarray(0, this.count),
    };
  }

  reset(): void {
    this.count = 0;
  }
}
