import { expect, test } from 'vitest';
import { type CaseResult, type Line, noFigures } from './case.ts';
import { catchUpLine, coresBusy, mainThreadFigure, medianLine, ratioOf, toolRatioFigure, walsenderAloneFigure } from './lines.ts';
import { isWhole, lineCells, makeRun, runText } from './report.ts';

function round(bare: number, rate: number, worker: number): Line {
  return { ...noFigures, name: 'round', bare, rate, tool: 200_000, cpu: { walsender: 1, worker, temporal: 9, load: 5 }, peakMiB: 200 + worker };
}

const equal = { sink: 'redis', what: 'members', expected: '1', actual: '1', equal: true };

function result(name: string, lines: readonly Line[], more: Partial<CaseResult> = {}): CaseResult {
  return { name, what: 'what is done.', slower: null, rows: 1_000, at: '2026-01-01T00:00:00Z', seconds: 1, lines, checks: [equal], exact: true, profile: null, error: null, ...more };
}

function run(...cases: readonly CaseResult[]) {
  return makeRun({ at: '2026-01-01T00:00:00Z', commit: 'abc', machine: '2 cores', command: './sluice bench', seconds: 1, cases });
}

test('a median is of ratios of the same round, and of the memory it is the most', () => {
  const line = medianLine('median', [round(200_000, 100_000, 2), round(200_000, 20_000, 4), round(100_000, 90_000, 3)]);
  expect(line).toMatchObject({ rate: 90_000, bare: 200_000, tool: 200_000, cpu: { walsender: 1, worker: 3, temporal: 9 }, peakMiB: 204 });
  expect(ratioOf(line)).toBe(0.5);
  expect(line.figures![toolRatioFigure]).toBe(1);
});

test('without pg_recvlogical there is no ratio to it', () => {
  expect(medianLine('median', [{ ...round(1, 1, 1), tool: null }]).figures).not.toHaveProperty(toolRatioFigure);
});

test('a catch-up is counted by event, of those that were delivered', () => {
  const backlog = { events: 1_000, last: 0n, bare: 4_000, tool: null, walsenderAlone: 3 };
  const caughtUp = { seconds: 2, cpu: { worker: 0.01 }, written: { worker: 50_000 }, spooled: 100_000, actions: 3, peakMiB: 1, mainThread: 0.5 };
  expect(catchUpLine('one', backlog, caughtUp)).toMatchObject({ rate: 500, bare: 4_000, cpu: { worker: 10 }, written: { worker: 50 }, spooled: 100, figures: { 'Temporal actions per 1M events': 3_000, [mainThreadFigure]: 25 } });
  expect(catchUpLine('five', backlog, caughtUp, 5_000)).toMatchObject({ rate: 2_500, cpu: { worker: 2 }, spooled: 20 });
});

test('processors busy are those of all processes, what is left out of the cost included', () => {
  expect(coresBusy(round(200_000, 100_000, 3))).toBeCloseTo(((1 + 3 + 9 + 5) * 100_000) / 1e6);
  expect(coresBusy({ ...noFigures, name: 'no rate' })).toBeNull();
});

test('what the walsender costs alone is shown, and its median', () => {
  const lines = [9, 7, 8].map((walsenderAlone) => catchUpLine('one', { events: 1_000, last: 0n, bare: 4_000, tool: 5_000, walsenderAlone }, { seconds: 2, cpu: {}, written: {}, spooled: 0, actions: 3, peakMiB: 1, mainThread: 0 }));
  expect(lines[0]!.figures).toMatchObject({ [walsenderAloneFigure]: 9 });
  expect(medianLine('median', lines).figures).toMatchObject({ [walsenderAloneFigure]: 8 });
});

test('a line shows its figures, the cost without Temporal and the load, and whether its case was exact', () => {
  const line: Line = { ...round(200_000, 100_000, 2.5), figures: { 'p99 ms': 61.26 } };
  expect(lineCells(result('latency', [line]))).toEqual([['round; p99 ms 61.3', '100,000', '200,000', '0.500', '200,000', '3.50', '203', 'yes']]);
});

test('one difference is not exact, and is shown; so is what failed', () => {
  const unequal = run(result('plain', [], { checks: [equal, { ...equal, actual: '2', equal: false }], exact: false }));
  expect(isWhole(unequal)).toBe(false);
  expect(runText(unequal)).toContain('NOT EXACT: redis, members: 2, expected 1');
  const failed = run(result('plain', []), result('burst', [], { error: 'It was given up.', exact: null }));
  expect(isWhole(failed)).toBe(false);
  expect(runText(failed)).toContain('FAILED: It was given up.');
  expect(isWhole(run(result('plain', [])))).toBe(true);
});
