import { describe, expect, test } from 'vitest';
import type { Window } from '../pipeline.ts';
import { endsBetween, endsOver, revise } from './windows.ts';

const hopping: Window = { kind: 'hopping', sizeMs: 30, everyMs: 10 };
const open = { closesUpToMs: 100, closedBeforeMs: 50 };

describe('windows', () => {
  test('ends between two bounds', () => {
    expect(endsBetween(20, 50, 10)).toEqual([30, 40, 50]);
    expect(endsBetween(20, 20, 10)).toEqual([]);
    expect(endsBetween(0, 2_000, 10)).toBe('many');
    expect(endsBetween(Number.NEGATIVE_INFINITY, 50, 10)).toBe('many');
    expect(endsBetween(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, 10)).toBe('many');
  });

  test('a pane is in the windows that end after it, up to the size', () => {
    expect(endsOver([0], hopping, 100)).toEqual([10, 20, 30]);
    expect(endsOver([0, 10], hopping, 25)).toEqual([10, 20]);
    expect(endsOver([-10], { ...hopping, sizeMs: 10 }, 100)).toEqual([0]);
  });

  const said = { revision: 3, final: false, digest: 'x' };
  test.each([
    ['nothing was said and there is nothing', 60, undefined, '', undefined],
    ['nothing was said', 60, undefined, 'x', { revision: 0, final: false, digest: 'x' }],
    ['nothing was said, and nothing more can come', 50, undefined, 'x', { revision: 0, final: true, digest: 'x' }],
    ['the same was said', 60, said, 'x', undefined],
    ['the same was said, and nothing more can come', 50, said, 'x', { revision: 3, final: true, digest: 'x' }],
    ['something else was said', 60, said, 'y', { revision: 4, final: false, digest: 'y' }],
    ['something else was said, and nothing more can come', 50, said, 'y', { revision: 4, final: true, digest: 'y' }],
    ['it became empty', 60, said, '', { revision: 4, final: false, digest: '' }],
    ['the last word was said', 50, { ...said, final: true }, 'y', undefined],
  ] as const)('%s', (_, end, before, digest, now) => {
    expect(revise(end, before, digest, open)).toEqual(now);
  });
});
