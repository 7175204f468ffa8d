import { expect, test } from 'vitest';
import { BadInput } from '../core/bad-input.ts';
import type { Case } from './case.ts';
import { cases } from './cases/index.ts';
import { parseBenchOptions } from './options.ts';

const known: readonly Case[] = ['plain', 'burst', 'growth'].map((name) => ({ name, what: '', short: name !== 'growth', limitMinutes: 1, async *run() {} }));
const names = (...args: string[]) => parseBenchOptions(args, known).cases.map(({ name }) => name);

test('the short form, all of it, or some of it in its own order', () => {
  expect(names()).toEqual(['plain', 'burst']);
  expect(names('--full')).toEqual(['plain', 'burst', 'growth']);
  expect(names('--only', 'growth,plain')).toEqual(['plain', 'growth']);
});

test('defaults, and figures as people write them', () => {
  expect(parseBenchOptions([], known)).toMatchObject({ rows: 1_000_000, rounds: 5, full: false, json: false, portBase: 7_600, profile: undefined, document: [] });
  expect(parseBenchOptions(['--rows', '2_000_000', '--document', 'a.json,b.json'], known)).toMatchObject({ rows: 2_000_000, document: ['a.json', 'b.json'] });
});

test.each([
  [['--only', 'plane'], /no case plane\. There are: plain, burst, growth\. For example: \.\/sluice bench --only plain/],
  [['--rows', 'many'], /--rows many is not a whole number/],
  [['--rounds', '0'], /--rounds 0/],
  [['--rounds', ' '], /--rounds/],
  [['--fast'], /--fast/],
])('%j is refused', (args, sentence) => {
  expect(() => parseBenchOptions(args, known)).toThrow(BadInput);
  expect(() => parseBenchOptions(args, known)).toThrow(sentence);
});

test('every case has a name of its own, a sentence and a limit', () => {
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  for (const { name, what, limitMinutes } of cases) {
    expect(name).toMatch(/^[a-z-]+$/);
    expect(what).toMatch(/\.$/);
    expect(limitMinutes).toBeLessThanOrEqual(75);
  }
});
