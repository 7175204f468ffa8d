import { grown } from '../columns/column.ts';
import { isExtreme } from './extremes.ts';
import type { Accumulator, PaneDeltas } from './panes.ts';

/** Sums and extremes by (pane, key slot): an entry for each pair that was touched, open addressing, one array an accumulator. */
export class PaneTable {
  #size = 0;
  #table: Int32Array;
  #ordinals: Int32Array;
  #slots: Int32Array;
  readonly sums: Float64Array[];
  /** Places of those that are no sums. */
  readonly #extremes: readonly number[];
  readonly #panes: number[] = [];
  readonly #ordinalOf = new Map<number, number>();
  #lastPane = Number.NaN;
  #lastOrdinal = -1;

  constructor(accumulators: readonly Accumulator[], capacity = 64) {
    this.#table = new Int32Array(capacity * 2).fill(-1);
    this.#ordinals = new Int32Array(capacity);
    this.#slots = new Int32Array(capacity);
    this.sums = accumulators.map(() => new Float64Array(capacity));
    this.#extremes = accumulators.flatMap((accumulator, place) => (isExtreme(accumulator) ? [place] : []));
    for (const place of this.#extremes) this.sums[place]!.fill(Number.NaN);
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** Where a pair's sums stand; `pane` counts pane lengths since 1970. */
  entry(pane: number, slot: number): number {
    const ordinal = pane === this.#lastPane ? this.#lastOrdinal : this.#ordinal(pane);
    const mask = this.#table.length - 1;
    let at = hash(ordinal, slot) & mask;
    for (; ; at = (at + 1) & mask) {
      const entry = this.#table[at]!;
      if (entry < 0) break;
      if (this.#slots[entry] === slot && this.#ordinals[entry] === ordinal) return entry;
    }
    return this.#add(ordinal, slot, at);
  }

  /** What was gathered, without pairs whose sums are all 0 and that have no extremes. Throws SumTooLarge for a sum that is no longer exact. */
  deltas(paneMs: number, keys: readonly string[]): PaneDeltas {
    const kept = new Int32Array(this.#size);
    let count = 0;
    for (let entry = 0; entry < this.#size; entry++) if (this.#isTouched(entry)) kept[count++] = entry;
    const [panes, keyTexts] = [new Float64Array(count), Array.from<string>({ length: count })];
    for (let index = 0; index < count; index++) {
      panes[index] = this.#panes[this.#ordinals[kept[index]!]!]! * paneMs;
      keyTexts[index] = keys[this.#slots[kept[index]!]!]!;
    }
    const values = this.sums.map((sums, place) => {
      const chosen = new Float64Array(count);
      if (this.#extremes.includes(place)) for (let index = 0; index < count; index++) chosen[index] = sums[kept[index]!]!;
      else for (let index = 0; index < count; index++) chosen[index] = exact(sums[kept[index]!]!);
      return chosen;
    });
    return { count, panes, keys: keyTexts, values };
  }

  #isTouched(entry: number): boolean {
    for (const sums of this.sums) if (sums[entry] !== 0 && !Number.isNaN(sums[entry])) return true;
    // an extreme may be 0
    for (const place of this.#extremes) if (!Number.isNaN(this.sums[place]![entry])) return true;
    return false;
  }

  #ordinal(pane: number): number {
    let ordinal = this.#ordinalOf.get(pane);
    if (ordinal === undefined) {
      ordinal = this.#panes.push(pane) - 1;
      this.#ordinalOf.set(pane, ordinal);
    }
    this.#lastPane = pane;
    this.#lastOrdinal = ordinal;
    return ordinal;
  }

  #add(ordinal: number, slot: number, at: number): number {
    const entry = this.#size++;
    const length = this.#slots.length;
    if (this.#size > length) {
      this.#ordinals = grown(this.#ordinals, this.#size);
      this.#slots = grown(this.#slots, this.#size);
      for (let accumulator = 0; accumulator < this.sums.length; accumulator++) this.sums[accumulator] = grown(this.sums[accumulator]!, this.#size);
      for (const place of this.#extremes) this.sums[place]!.fill(Number.NaN, length);
    }
    this.#ordinals[entry] = ordinal;
    this.#slots[entry] = slot;
    this.#table[at] = entry;
    if (this.#size * 2 > this.#table.length) this.#rehash();
    return entry;
  }

  #rehash(): void {
    this.#table = new Int32Array(this.#table.length * 2).fill(-1);
    const mask = this.#table.length - 1;
    for (let entry = 0; entry < this.#size; entry++) {
      let at = hash(this.#ordinals[entry]!, this.#slots[entry]!) & mask;
      while (this.#table[at]! >= 0) at = (at + 1) & mask;
      this.#table[at] = entry;
    }
  }
}

function hash(ordinal: number, slot: number): number {
  const mixed = Math.imul(slot, 0x9e3779b1) ^ Math.imul(ordinal, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

function exact(sum: number): number {
  if (Number.isSafeInteger(sum)) return sum + 0;
  throw new SumTooLarge(sum);
}

/** Of fewer events the sums may well be exact. */
export class SumTooLarge extends RangeError {
  override readonly name = 'SumTooLarge';
  constructor(sum: number) {
    super(`a pane's sum is beyond 2^53 and would not be exact (${sum}): give the measure a smaller scale, or filter out the rows that are that large`);
  }
}
