import type { Lsn, Position } from '../../core/position.ts';
import { origin } from '../../core/position.ts';

/**
 * What may be confirmed to the source (E6, E7). A commit's end LSN is confirmed once every lane's fence has passed the
 * transaction's last event; if the slot then holds back more WAL than `maxSlotLag`, once the spool has it.
 */
export class Acknowledgement {
  readonly #maxSlotLag: bigint;
  /** Ends of spooled segments that end with a whole transaction, ascending. */
  #ends: { readonly to: Position; readonly endLsn: Lsn }[] = [];
  /** What was confirmed last. */
  confirmed: Lsn;
  /** All events up to here are behind it. */
  confirmedTo: Position = origin;

  constructor(maxSlotLagBytes: number, confirmed: Lsn) {
    this.#maxSlotLag = BigInt(maxSlotLagBytes);
    this.confirmed = confirmed;
  }

  spooled(to: Position, endLsn: Lsn): void {
    if (endLsn > this.confirmed) this.#ends.push({ to, endLsn });
  }

  /** The LSN to confirm now. `smallest`: the smallest fence of all lanes; undefined while one is not known. */
  confirm(smallest: Position | undefined, serverEnd: Lsn): Lsn {
    if (smallest !== undefined) this.#take((end) => end.to <= smallest);
    if (serverEnd - this.confirmed > this.#maxSlotLag) this.#take(() => true);
    return this.confirmed;
  }

  #take(has: (end: { to: Position }) => boolean): void {
    let count = 0;
    while (count < this.#ends.length && has(this.#ends[count]!)) count++;
    if (count === 0) return;
    ({ endLsn: this.confirmed, to: this.confirmedTo } = this.#ends[count - 1]!);
    this.#ends.splice(0, count);
  }
}
