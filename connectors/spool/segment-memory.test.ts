import { expect, test } from 'vitest';
import { SegmentMemory } from './segment-memory.ts';

const large = 8 << 20;

test('memory that nobody looks at any more is used for the next segment that it fits', () => {
  const memory = new SegmentMemory();
  const given = Array.from({ length: 4 }, () => memory.take(large));
  for (const bytes of given) memory.give(bytes);
  const taken = Array.from({ length: 4 }, () => memory.take(large - 1_000));
  expect(new Set(taken.map(({ buffer }) => buffer))).toEqual(new Set(given.map(({ buffer }) => buffer)));
  expect(given.map(({ buffer }) => buffer)).not.toContain(memory.take(large).buffer);
});

test('what a catch-up needed goes, once only small segments come', () => {
  const memory = new SegmentMemory();
  const bytes = memory.take(large);
  memory.give(bytes);
  for (let i = 0; i < 200; i++) memory.give(memory.take(40_000));
  expect(memory.take(large).buffer).not.toBe(bytes.buffer);
});

test('what is more than is kept goes at once', () => {
  const memory = new SegmentMemory();
  const given = Array.from({ length: 16 }, () => memory.take(large));
  for (const bytes of given) memory.give(bytes);
  const kept = given.filter(({ length }) => length > 0);
  expect(given.map(({ length }) => length > 0)).toEqual(given.map((_, place) => place >= given.length - kept.length));
  expect(kept.length).toBeLessThanOrEqual(5);
});
