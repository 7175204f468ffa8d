import { grown } from '../columns/column.ts';
import type { Vector } from '../columns/vector.ts';
import { State } from '../columns/vector.ts';
import type { DimensionStore } from './dimension-store.ts';
import { keyAt } from './dimension-store.ts';

/**
 * Which version of a dimension each event row of the running batch joins. Rows are looked up in bulk: before a change of
 * the dimension, and before the batch is cut, so every row gets the version of its place in the stream.
 */
export class DimensionJoin {
  readonly store: DimensionStore;
  slots = new Uint32Array(1024);
  #done = 0;
  #slotById = new Int32Array(0);
  #version = -1;

  constructor(store: DimensionStore) {
    this.store = store;
  }

  /** `on` is the event table's column with the dimension's key, `rows` rows of it. */
  resolve(on: Vector, rows: number): void {
    if (rows === this.#done) return;
    this.slots = grown(this.slots, rows);
    if (on.layout === 'interned') this.#resolveInterned(on.ids, on, rows);
    else for (let row = this.#done; row < rows; row++) this.slots[row] = this.#slotOf(on, row);
    this.#done = rows;
  }

  reset(): void {
    this.#done = 0;
    this.store.compact();
  }

  #resolveInterned(ids: Uint32Array, on: Vector & { layout: 'interned' }, rows: number): void {
    if (this.#version !== this.store.version || this.#slotById.length < on.dictionary.length) {
      this.#slotById = new Int32Array(Math.max(1024, on.dictionary.length * 2)).fill(-1);
      this.#version = this.store.version;
    }
    const { states } = on;
    for (let row = this.#done; row < rows; row++) {
      if (states !== undefined && states[row] !== State.value) {
        this.slots[row] = 0;
        continue;
      }
      const id = ids[row]!;
      let slot = this.#slotById[id]!;
      if (slot === -1) {
        slot = this.store.slots.get(keyAt(on.dictionary, id)) ?? 0;
        this.#slotById[id] = slot;
      }
      this.slots[row] = slot;
    }
  }

  #slotOf(on: Vector, row: number): number {
    if (on.states !== undefined && on.states[row] !== State.value) return 0;
    return this.store.slots.get(keyAt(on, row)) ?? 0;
  }
}
