import { killPoint } from '../../core/kill-point.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Lsn, Position } from '../../core/position.ts';
import { slotLagLimit } from '../../core/slot-lag-limit.ts';
import { Acknowledgement } from './acknowledgement.ts';
import { smallestOf } from './fences.ts';
import type { Confirmed } from './shard-state.ts';
import type { SourceStream } from './source.ts';

export type ConfirmationOptions = {
  readonly pipeline: Pipeline;
  /** Fences of all lanes that read segments; undefined: not known yet. */
  readonly fences: () => ReadonlyMap<string, Position | undefined>;
  /** Keeps on record what the source is about to be told. */
  readonly record: (confirmed: Confirmed) => Promise<void>;
  /** Of the source, now. */
  readonly timeline: number;
  /** What the slot is confirmed to. */
  readonly confirmed: Lsn;
  /** WAL bytes that the source keeps for a slot at most; undefined: any. */
  readonly keepBytes: number | undefined;
};

/** Tells the source what it may forget (E4, E6, E7), and knows how much it still keeps. */
export class Confirmation {
  readonly #options: ConfirmationOptions;
  readonly #acknowledgement: Acknowledgement;
  #running: Promise<unknown> = Promise.resolve();
  #serverEndHigh = 0;
  #serverEndLow = 0;
  #walEnd: Lsn = 0n;

  constructor(options: ConfirmationOptions) {
    const { pipeline, keepBytes, confirmed } = options;
    this.#options = options;
    this.#acknowledgement = new Acknowledgement(slotLagLimit(pipeline.settings.maxSlotLagBytes, keepBytes), confirmed);
  }

  /** WAL bytes between what the source has written and what it may forget. */
  get slotLagBytes(): number {
    return Number(this.knownWalEnd - this.#acknowledgement.confirmed);
  }

  /** With every message of the stream. */
  serverEnd(high: number, low: number): void {
    this.#serverEndHigh = high;
    this.#serverEndLow = low;
  }

  /** While nothing is read, the stream does not tell it. */
  walEnd(lsn: Lsn): void {
    this.#walEnd = lsn;
  }

  /** A segment that ends with a whole transaction is in the spool. */
  spooled(to: Position, endLsn: Lsn): void {
    this.#acknowledgement.spooled(to, endLsn);
  }

  /** On record first, then to the source; one after another, or the second would tell what the first has not yet recorded. */
  confirm(stream: SourceStream): Promise<void> {
    const run = this.#running.then(() => this.#recordAndConfirm(stream));
    this.#running = run.catch(() => {});
    return run;
  }

  async #recordAndConfirm(stream: SourceStream): Promise<void> {
    const { fences, record, timeline } = this.#options;
    const { confirmed: before } = this.#acknowledgement;
    const lsn = this.#acknowledgement.confirm(smallestOf(fences()), this.knownWalEnd);
    if (lsn > before) {
      await record({ lsn, to: this.#acknowledgement.confirmedTo, timeline });
      killPoint('capture/acknowledging');
    }
    stream.confirm(lsn);
  }

  /** Where the source is in decoding: what committed below has been sent. */
  get streamAt(): Lsn {
    return (BigInt(this.#serverEndHigh) << 32n) | BigInt(this.#serverEndLow);
  }

  /** The greatest end of the source's WAL that was heard of. */
  get knownWalEnd(): Lsn {
    return this.streamAt > this.#walEnd ? this.streamAt : this.#walEnd;
  }
}
