import type { Column } from '../columns/column.ts';
import { makeColumn } from '../columns/make-column.ts';
import { postgresText } from '../columns/postgres-text.ts';
import type { BytesVector, NumberArray, Vector, Words4Vector } from '../columns/vector.ts';
import { State, valueAt } from '../columns/vector.ts';
import { nameInSource, type DimensionTable } from '../pipeline.ts';

/**
 * A dimension's rows as of a place in the stream. Every change makes a new slot, so rows of the running batch keep the
 * version that was valid when they came (E16); slots without a use are dropped between batches. Slot 0 is 'no such row'.
 */
export class DimensionStore {
  readonly table: DimensionTable;
  /** Slot by key: the key's text, or its number where that is exact. */
  readonly slots = new Map<string | number, number>();
  #columns: Map<string, Column>;
  /** What rows of before have of these counts no more. */
  readonly #lost: ReadonlySet<string>;
  #size = 1;
  #capacity = 1024;
  /** Counts changes: caches by key are good as long as it stands still. */
  version = 0;

  constructor(table: DimensionTable) {
    this.table = table;
    this.#lost = new Set(Object.keys(table.columns).filter((column) => nameInSource(table, column) === undefined));
    this.#columns = this.#makeColumns();
  }

  /** Takes the row that stands in `source` columns at `row`. */
  put(source: ReadonlyMap<string, Vector>, row: number): void {
    this.putValues(keyAt(source.get(this.table.key)!, row), (name) => postgresText(source.get(name)!, row));
  }

  /** Takes a row of Postgres texts, null for NULL. */
  putValues(key: string | number, value: (column: string) => string | null): void {
    const slot = this.#size++;
    if (this.#size > this.#capacity) this.#reserve(this.#capacity * 2);
    for (const [name, column] of this.#columns) {
      const text = this.#lost.has(name) ? null : value(name);
      if (text === null) column.setNull(slot);
      else column.text(text, slot);
    }
    this.slots.set(key, slot);
    this.version++;
  }

  remove(key: string | number): void {
    this.slots.delete(key);
    this.version++;
  }

  clear(): void {
    this.slots.clear();
    this.version++;
  }

  /** The dimension's column for rows whose slots are given. */
  column(name: string, slots: Uint32Array, rows: number): Vector {
    const column = this.#columns.get(name);
    if (!column) throw new TypeError(`dimension ${this.table.relation} has no column ${name}`);
    return gather(column.vector(this.#size), slots, rows);
  }

  /** Drops slots that no key leads to; only between batches, for it renumbers. */
  compact(): void {
    if (this.#size < 2 * this.slots.size + 4096) return;
    const old = new Map([...this.#columns].map(([name, column]) => [name, column.vector(this.#size)]));
    const keys = [...this.slots];
    this.#columns = this.#makeColumns();
    this.#size = 1;
    this.slots.clear();
    for (const [key, slot] of keys) this.putValues(key, (name) => postgresText(old.get(name)!, slot));
  }

  #makeColumns(): Map<string, Column> {
    const columns = new Map(Object.entries(this.table.columns).map(([name, schema]) => [name, makeColumn({ type: schema.type, interned: false }, this.#capacity)]));
    for (const column of columns.values()) column.setNull(0);
    return columns;
  }

  #reserve(capacity: number): void {
    this.#capacity = capacity;
    for (const column of this.#columns.values()) column.reserve(capacity);
  }
}

/** A key as the store has it: a number where the type is a small integer or a safe one, else text. */
export function keyAt(vector: Vector, row: number): string | number {
  const value = valueAt(vector, row);
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return value >= -0x1fffffffffffffn && value <= 0x1fffffffffffffn ? Number(value) : String(value);
  return String(value);
}

/** The same for a key that is given as Postgres text. */
export function keyFromText(type: DimensionTable['columns'][string]['type'], text: string): string | number {
  return (type === 'int2' || type === 'int4' || type === 'int8') && Number.isSafeInteger(Number(text)) ? Number(text) : text;
}

function gather(source: Vector, slots: Uint32Array, rows: number): Vector {
  let states: Uint8Array | undefined;
  for (let row = 0; row < rows; row++) {
    const state = source.states?.[slots[row]!] ?? State.value;
    if (state !== State.value) (states ??= new Uint8Array(rows))[row] = state;
  }
  const common = { type: source.type, length: rows, states };
  const pick = <A extends NumberArray>(from: A, width: number): A => {
    const to = new (from.constructor as new (length: number) => A)(rows * width);
    for (let row = 0; row < rows; row++) for (let i = 0; i < width; i++) to[row * width + i] = from[slots[row]! * width + i]!;
    return to;
  };
  switch (source.layout) {
    case 'number':
      return { ...common, layout: 'number', values: pick(source.values, 1) };
    case 'int64':
      return { ...common, layout: 'int64', words: pick(source.words, 2) };
    case 'words4':
    case 'bytes':
      return { ...common, layout: 'interned', ids: slots.subarray(0, rows), dictionary: withoutStates(source) };
    case 'interned':
      throw new TypeError('a dimension keeps its columns plain');
  }
}

function withoutStates<V extends BytesVector | Words4Vector>(vector: V): V {
  return { ...vector, states: undefined };
}
