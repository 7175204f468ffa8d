import { describe, expect, test } from 'vitest';
import type { Expression } from '../expressions/expression.ts';
import type { PaneSet, PaneView } from './panes.ts';
import { accumulatorsOf, decimal, measuresOf, presenceOf } from './results.ts';

const of: Expression = { op: 'literal', value: 1, type: 'int' };
const view: PaneView = {
  name: 'v',
  window: { kind: 'tumbling', sizeMs: 7_000, everyMs: 7_000 },
  measures: {
    n: { measure: { kind: 'count' }, accumulators: [2] },
    total: { measure: { kind: 'sum', of, scale: 2 }, accumulators: [0] },
    mean: { measure: { kind: 'avg', of, scale: 2 }, accumulators: [0, 3] },
    pace: { measure: { kind: 'rate' }, accumulators: [2] },
    high: { measure: { kind: 'max', of, scale: 2 }, accumulators: [4, 5, 3] },
  },
  rankBy: 'n',
  top: 3,
};
const set: PaneSet = { name: 'v', key: 'k', where: undefined, paneMs: 7_000, accumulators: [], views: [view] };

describe('results', () => {
  test.each([
    [124n, 1, '12.4'],
    [120n, 1, '12'],
    [-5n, 2, '-0.05'],
    [0n, 3, '0'],
    [10n, 0, '10'],
    [9007199254740993n, 6, '9007199254.740993'],
  ])('%s with %d digits behind the point is %s', (value, scale, text) => {
    expect(decimal(value, scale)).toBe(text);
  });

  test('measures out of sums', () => {
    expect(measuresOf(set, view, ['-200', '0', '10', '3', '-125', '0'])).toEqual({ n: '10', total: '-2', mean: '-0.66666667', pace: '1.428571', high: '-1.25' });
    expect(measuresOf(set, view, ['5', '0', '0', '0', null, '0'])).toEqual({ n: '0', total: '0.05', mean: '0', pace: '0', high: null });
  });

  test('measures that buckets tell', () => {
    const divided: PaneView = { ...view, measures: { n: view.measures['n']!, p99: { measure: { kind: 'quantile', of, scale: 2, q: 0.99 }, accumulators: [2] }, users: { measure: { kind: 'distinct', of }, accumulators: [2] } } };
    expect(measuresOf(set, divided, ['0', '0', '10'], ['-150', '7'])).toEqual({ n: '10', p99: '-1.5', users: '7' });
    expect(measuresOf(set, divided, ['0', '0', '10'], [null, '0'])).toEqual({ n: '10', p99: null, users: '0' });
    const { n: _, ...told } = divided.measures;
    expect([accumulatorsOf({ ...divided, measures: told }), presenceOf({ ...divided, measures: told })]).toEqual([[], [2]]);
  });

  test('the accumulators that a view shows, and those that say whether a key is there, each once', () => {
    expect(accumulatorsOf(view)).toEqual([0, 2, 3, 4]);
    expect(presenceOf(view)).toEqual([0, 2, 3]);
  });
});
