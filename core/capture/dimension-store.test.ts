import { expect, test } from 'vitest';
import { valueAt } from '../columns/vector.ts';
import type { ColumnSchema, DimensionTable } from '../pipeline.ts';
import { DimensionStore } from './dimension-store.ts';

const column = (from?: string | null): ColumnSchema => ({ type: 'text', nullable: true, interned: false, ...(from === undefined ? {} : { from }) });

test('rows of before enrich nothing with a column that the source has lost', () => {
  const store = new DimensionStore({ relation: 'public.pages', key: 'id', on: 'page', columns: { id: column(), title: column(null), kind: column('type') } } as unknown as DimensionTable);
  store.putValues('a', (name) => `${name} of a`);
  const slots = Uint32Array.of(store.slots.get('a')!);
  expect(['title', 'kind'].map((name) => valueAt(store.column(name, slots, 1), 0))).toEqual([null, 'kind of a']);
});
