import { expect, test } from 'vitest';
import { flameSvg, summarized } from './flame.ts';

const frame = (functionName: string, lineNumber = 0) => ({ functionName, scriptId: '1', url: functionName.startsWith('(') ? '' : 'file:///product/core/fold.ts', lineNumber, columnNumber: 0 });
/** fold is called from two places. */
const profile = {
  startTime: 0,
  endTime: 1_000,
  nodes: [
    { id: 1, callFrame: frame('(root)'), children: [2, 3, 6] },
    { id: 2, callFrame: frame('(idle)') },
    { id: 3, callFrame: frame('apply<T>', 4), children: [4] },
    { id: 4, callFrame: frame('fold', 9) },
    { id: 5, callFrame: frame('fold', 9) },
    { id: 6, callFrame: frame('(garbage collector)'), children: [5] },
  ],
  samples: [2, 3, 4, 4, 5, 6],
  timeDeltas: [500, 10, 20, 30, 30, 10],
};

test('self times are of functions, wherever they were called, and without waiting', () => {
  const { times } = summarized(profile);
  expect(times).toEqual([
    { name: 'fold', place: 'core/fold.ts:10', percent: 80 },
    { name: 'apply<T>', place: 'core/fold.ts:5', percent: 10 },
    { name: '(garbage collector)', place: 'native', percent: 10 },
  ]);
});

test('a flame is as wide as all that is called in it', () => {
  const { flame } = summarized(profile);
  expect(flame.percent).toBe(100);
  expect(flame.calls.map(({ name, percent }) => [name, percent])).toEqual([['apply<T> core/fold.ts:5', 60], ['(garbage collector) native', 40]]);
  expect(flame.calls[0]!.calls).toEqual([{ name: 'fold core/fold.ts:10', percent: 50, calls: [] }]);
});

test('the picture has a box for each, and names are escaped', () => {
  const svg = flameSvg(summarized(profile).flame);
  expect(svg.match(/<rect x=/g)).toHaveLength(5);
  expect(svg).toContain('<title>apply&lt;T&gt; core/fold.ts:5: 60.0 %</title>');
  expect(svg).not.toContain('<T>');
});
