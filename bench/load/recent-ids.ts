import type { Random } from './random.ts';

/** Ids of the rows that were written last: those that are changed and removed. */
export class RecentIds {
  #ids: bigint[] = [];

  /** All of a run of consecutive ids; of a long one its end. */
  add(first: bigint, last: bigint): void {
    const from = last - first >= kept ? last - BigInt(kept) + 1n : first;
    for (let id = from; id <= last; id++) this.#ids.push(id);
    if (this.#ids.length > 2 * kept) this.#ids = this.#ids.slice(-kept);
  }

  pick(random: Random, count: number): string[] {
    const picked = new Set<bigint>();
    const wanted = Math.min(count, this.#ids.length);
    while (picked.size < wanted) picked.add(random.pick(this.#ids));
    return [...picked].map(String);
  }

  /** Picks, and forgets. */
  take(random: Random, count: number): string[] {
    const taken: string[] = [];
    while (taken.length < count && this.#ids.length > 0) {
      const index = random.below(this.#ids.length);
      taken.push(String(this.#ids[index]));
      this.#ids[index] = this.#ids.at(-1)!;
      this.#ids.pop();
    }
    return taken;
  }
}

const kept = 5_000;
