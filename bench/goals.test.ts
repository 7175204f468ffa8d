import { expect, test } from 'vitest';
import { type CaseResult, type Line, noFigures } from './case.ts';
import { goalsOf } from './goals.ts';
import { ratioFigure } from './lines.ts';

function result(name: string, ...lines: readonly Line[]): CaseResult {
  return { name, what: '', slower: null, rows: 1, at: '', seconds: 1, lines, checks: [], exact: null, profile: null, error: null };
}

function goal(what: RegExp, ...results: readonly CaseResult[]) {
  const found = goalsOf(results).filter((each) => what.test(each.what));
  expect(found).toHaveLength(1);
  return found[0]!;
}

const median = (ratio: number): Line => ({ ...noFigures, name: 'median', figures: { [ratioFigure]: ratio } });

test('what was not part of the run is neither met nor missed', () => {
  for (const { met, text } of goalsOf([])) expect([met, text]).toEqual([null, 'not measured']);
});

test.each([
  [0.65, true, '0.65'],
  [0.6499, false, '0.64'],
  [0.29, false, '0.29'],
])('a ratio of %d is met: %s, and shown as %s', (ratio, met, text) => {
  expect(goal(/ratio to bare/, result('plain', median(ratio)))).toMatchObject({ met, text });
});

test('a cost is shown rounded up, and is of the pipeline alone', () => {
  const line = { ...median(1), cpu: { walsender: 3, worker: 5.001, temporal: 4, load: 2 } };
  expect(goal(/CPU/, result('plain', line))).toMatchObject({ met: false, text: '8.01 s' });
});

test('a latency is of its linger and its gathering, and of the rate that was asked for', () => {
  const line = (sink: string, gather: number, rate: number, p99: number): Line => ({ ...noFigures, name: `${sink}, x`, figures: { 'linger ms': 50, 'gathering ms': gather, 'asked for events/s': rate, 'p50 ms': 30, 'p99 ms': p99 } });
  const latency = result('latency', line('redis', 0, 3_333, 90.01), line('clickhouse', 50, 3_333, 100), line('clickhouse', 250, 3_333, 300), line('redis', 0, 60_000, 900), line('clickhouse', 250, 60_000, 900));
  expect(goal(/Redis.*p99/, latency)).toMatchObject({ met: false, text: '90.01 ms' });
  expect(goal(/Redis.*p50/, latency)).toMatchObject({ met: true });
  expect(goal(/gathering 50 ms/, latency)).toMatchObject({ met: true, bound: 'at most 160 ms', measured: 100 });
  expect(goal(/gathering 250 ms/, latency)).toMatchObject({ met: true, bound: 'at most 360 ms', measured: 300 });
});

test('a case that is slow says why, or is counted', () => {
  const plain = result('plain', { ...median(1), rate: 100_000 });
  const slow: Line = { ...noFigures, name: 'all', rate: 33_000, bare: 100_000 };
  const counted = (other: CaseResult) => goal(/no reason stated/, plain, other).measured;
  expect(counted(result('tiny', slow))).toBe(1);
  expect(counted({ ...result('tiny', slow), slower: 'each is a transaction' })).toBe(0);
  expect(counted(result('tiny', { ...slow, rate: 34_000 }))).toBe(0);
  // as fast as it was written
  expect(counted(result('latency', { ...slow, bare: null }))).toBeNull();
});

test('a burst is held against twice the time of catching up', () => {
  const burst = (absorbed: number, back: number) => result('burst', { ...noFigures, name: 'burst', figures: { 'absorbed after s': absorbed, 'twice what catching up needs, s': 2, 'p99 as before after s': back } });
  expect(goal(/absorbed/, burst(1.9, 0))).toMatchObject({ met: true, text: '0.95' });
  expect(goal(/absorbed/, burst(2.001, 0))).toMatchObject({ met: false, text: '1.01' });
  expect(goal(/after its end/, burst(1, 3.1))).toMatchObject({ met: false });
});

test('memory is the most of what it is said to be of', () => {
  const line = (name: string, peakMiB: number, asked: number): Line => ({ ...noFigures, name, peakMiB, figures: { 'asked for events/s': asked } });
  expect(goal(/catching up \(plain, pause/, result('plain', line('round 1', 300, 0)), result('pause', line('beside', 350.5, 0)))).toMatchObject({ met: false, text: '350.5 MiB' });
  expect(goal(/live/, result('latency', line('redis', 240, 3_333), line('redis', 400, 50_000)))).toMatchObject({ met: true, measured: 240 });
  expect(goal(/five million/, result('huge', line('one transaction', 600, 0), line('five times as many', 500, 0)))).toMatchObject({ met: true, measured: 500 });
});

test('one unequal check anywhere is not exact', () => {
  const check = { sink: '', what: '', expected: '', actual: '', equal: true };
  const compared = { ...result('plain'), checks: [check], exact: true };
  expect(goal(/exact/, compared)).toMatchObject({ met: true });
  expect(goal(/exact/, compared, { ...compared, checks: [check, { ...check, equal: false }], exact: false })).toMatchObject({ met: false, measured: 1 });
});
