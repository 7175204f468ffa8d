import { hash } from 'node:crypto';
import type { Vector } from '../columns/vector.ts';
import { State } from '../columns/vector.ts';
import { evaluate } from '../expressions/kernels.ts';
import type { Rows } from '../expressions/rows.ts';
import type { Batch } from '../segment.ts';
import { batchValues } from './batch-values.ts';
import { entryText, quantileBucket, ranks, type Buckets } from './buckets.ts';
import { KeySlots } from './key-slots.ts';

/** Small numbers for the entries of a divided set: for a key, by its slot, and a bucket. */
export class BucketSlots {
  /** What an entry is kept under. */
  readonly texts: string[] = [];
  readonly #buckets: Buckets;
  readonly #entries = new Map<number, Map<number, number>>();
  readonly #values = new KeySlots();
  /** By the slots of values. */
  readonly #hashed: number[] = [];
  #memory: Int32Array = new Int32Array(0);

  constructor(buckets: Buckets) {
    this.#buckets = buckets;
  }

  /** How much it remembers. */
  get size(): number {
    return Math.max(this.texts.length, this.#values.texts.length);
  }

  /** Puts each row's entry in the place of its key's slot; -1, no key, stays. `keys`: the texts of the keys by slot. */
  divide(slots: Int32Array, keys: readonly string[], batch: Batch, rows: Rows): Int32Array {
    const bucketAt = this.#buckets.kind === 'quantile' ? this.#quantiles(this.#buckets, batch, rows) : this.#distinct(this.#buckets, rows);
    for (let row = 0; row < batch.rows; row++) {
      const slot = slots[row]!;
      if (slot >= 0) slots[row] = this.#entry(slot, bucketAt(row), keys);
    }
    return slots;
  }

  /** With the slots of the keys. */
  clear(): void {
    this.texts.length = 0;
    this.#entries.clear();
    this.#values.clear();
    this.#hashed.length = 0;
  }

  #quantiles({ of, scale }: Extract<Buckets, { kind: 'quantile' }>, batch: Batch, rows: Rows): (row: number) => number {
    const { values, states } = batchValues(batch, of, scale, rows);
    return (row) => (states && states[row] !== State.value ? Number.NaN : quantileBucket(values[row]!));
  }

  #distinct({ of }: Extract<Buckets, { kind: 'distinct' }>, rows: Rows): (row: number) => number {
    const vector: Vector = evaluate(of, rows);
    if (vector.states?.includes(State.unchanged))
      throw new TypeError('a value that the source did not send would be counted: the table needs REPLICA IDENTITY FULL. Type: ALTER TABLE … REPLICA IDENTITY FULL');
    const slots = (this.#memory = this.#values.slotsOf(vector, this.#memory));
    return (row) => {
      const slot = slots[row]!;
      return slot < 0 ? Number.NaN : (this.#hashed[slot] ??= distinctBucket(this.#values.texts[slot]!));
    };
  }

  #entry(slot: number, bucket: number, keys: readonly string[]): number {
    let ofBucket = this.#entries.get(bucket);
    if (!ofBucket) this.#entries.set(bucket, (ofBucket = new Map()));
    let entry = ofBucket.get(slot);
    if (entry === undefined) {
      entry = this.texts.push(entryText(bucket, keys[slot]!)) - 1;
      ofBucket.set(slot, entry);
    }
    return entry;
  }
}

/** Of a value by its text in Postgres: the first 12 binary digits of its SHA-256 are the register, and the next 32 tell the rank. */
export function distinctBucket(text: string): number {
  const digits = hash('sha256', text);
  return Number.parseInt(digits.slice(0, 3), 16) * ranks + Math.clz32(Number.parseInt(digits.slice(3, 11), 16)) + 1;
}
