import type { Position } from '../../core/position.ts';
import type { Appender } from '../spool/segment-log.ts';

/** Left free on the spool's disk: for what is on its way there, and to be able to note what is trimmed. */
export const spareBytes = 64 << 20;

type RoomOf = Pick<Appender, 'size' | 'free' | 'trim'>;

/** What a spool has and may have (E20): its budget, or less if its disk has less room. */
export class SpoolRoom {
  readonly #log: RoomOf;
  readonly #settings: { readonly spoolBudgetBytes: number; readonly spoolKeepMs: number };
  #bytes = 0;
  #budgetBytes = 0;

  constructor(log: RoomOf, settings: { readonly spoolBudgetBytes: number; readonly spoolKeepMs: number }) {
    this.#log = log;
    this.#settings = settings;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get budgetBytes(): number {
    return this.#budgetBytes;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#budgetBytes;
  }

  appended(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Trims what every lane has: after spoolKeep, and early when room is short, for that is better than no stream. */
  async make(smallestFence: Position | undefined): Promise<void> {
    await this.#look();
    if (smallestFence === undefined) return;
    await this.#log.trim(smallestFence, this.#bytes > this.#budgetBytes * 0.8 ? 0 : this.#settings.spoolKeepMs);
    // both anew: with the bytes alone, a disk that is full still would look as if it had room
    await this.#look();
  }

  async #look(): Promise<void> {
    this.#bytes = await this.#log.size();
    this.#budgetBytes = Math.min(this.#settings.spoolBudgetBytes, this.#bytes + Math.max(0, (await this.#log.free()) - spareBytes));
  }
}
