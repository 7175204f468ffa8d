import { expect, test } from 'vitest';
import { deltasByPane, someDeltas, type PaneDeltas } from './panes.ts';

test('panes of many ranges are found without a look at every entry for each of them', () => {
  const [count, panes] = [2_000, 40];
  let looks = 0;
  const counted = new Proxy(Float64Array.from({ length: count }, (_, place) => ((place * 7) % panes) * 10), {
    get: (starts, name) => {
      if (typeof name === 'string' && /^\d+$/.test(name)) looks++;
      return Reflect.get(starts, name, starts) as unknown;
    },
  });
  const deltas: PaneDeltas = { count, panes: counted, keys: Array.from({ length: count }, (_, place) => `k${place}`), values: [Float64Array.from({ length: count }, (_, place) => place)] };
  const within = deltasByPane(deltas);
  const pieces = Array.from({ length: panes / 2 }, (_, piece) => within({ fromMs: piece * 20, toMs: piece * 20 + 20 }));
  expect(looks).toBe(2 * count);
  // in whatever order
  const entries = (each: PaneDeltas) => Array.from({ length: each.count }, (_, place) => [each.panes[place], each.keys[place], each.values[0]![place]]).sort((a, b) => Number(a[2]) - Number(b[2]));
  expect(pieces.map(entries)).toEqual(pieces.map((_, piece) => entries(someDeltas(deltas, (pane) => pane >= piece * 20 && pane < piece * 20 + 20))));
  expect(pieces.reduce((sum, each) => sum + each.count, 0)).toBe(count);
});
