import { expect, test } from 'vitest';
import { growth } from './steady.ts';

const samples = (of: (index: number) => number) => Array.from({ length: 100 }, (_, index) => ({ atSeconds: index, workerMiB: of(index), spoolMiB: 0, slotLagMiB: 0 }));
const ratio = (of: (index: number) => number) => growth(samples(of), ({ workerMiB }) => workerMiB).ratio;

test('what fills up once and then swings is flat, what goes on growing is not', () => {
  expect(ratio((index) => Math.min(index * 20, 300) + (index % 7) * 5)).toBeCloseTo(1, 1);
  expect(ratio((index) => 200 + index * 2)).toBeGreaterThan(1.4);
  expect(growth(samples((index) => index), ({ workerMiB }) => workerMiB)).toEqual({ early: 29, late: 89, ratio: 89 / 29 });
});
