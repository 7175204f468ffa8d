import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isStopped } from '../core/stopped-steps.ts';
import { StepNumbers } from './step-numbers.ts';

describe('E26: the numbers of steps', () => {
  test('rise from 1, whatever part begins', () => {
    const numbers = new StepNumbers();
    expect([numbers.begin('capture'), numbers.begin('aggregate'), numbers.begin('capture')]).toEqual([1, 2, 3]);
  });

  test('are taken once, of what runs and was begun so', () => {
    const numbers = new StepNumbers();
    for (const part of ['capture', 'aggregate', 'live']) numbers.begin(part);
    numbers.end('live');
    expect(numbers.take(['capture', 'live', 'enriched'])).toEqual({ capture: 1 });
    expect(numbers.take(['capture', 'aggregate'])).toEqual({ aggregate: 2 });
    expect(numbers.take(['capture', 'aggregate'])).toEqual({});
  });

  test('of what was ever taken stop no step that begins later', () => {
    const part = fc.constantFrom('capture', 'aggregate', 'live');
    const doing = fc.record({ what: fc.constantFrom('begin' as const, 'end' as const, 'take' as const), part });
    fc.assert(
      fc.property(fc.array(doing), (doings) => {
        const numbers = new StepNumbers();
        const rows: Record<string, number> = {};
        for (const { what, part: name } of doings) {
          if (what === 'take') Object.assign(rows, numbers.take([name]));
          if (what === 'end') numbers.end(name);
          if (what !== 'begin') continue;
          const step = { run: 'r', part: name, number: numbers.begin(name) };
          expect(isStopped(step, Object.entries(rows).map(([at, number]) => ({ run: 'r', part: at, number })))).toBe(false);
        }
      }),
    );
  });
});
