import { expect, test } from 'vitest';
import { type CaseResult, type Line, noFigures } from './case.ts';
import { mainThreadFigure, walsenderAloneFigure } from './lines.ts';
import { merged, performancePage } from './document.ts';
import { makeRun, type Run } from './report.ts';

const profile = { times: [{ name: 'fold', place: 'core/fold.ts:10', percent: 80 }], flame: { name: 'all', percent: 100, calls: [] } };

function result(name: string, lines: readonly Line[], more: Partial<CaseResult> = {}): CaseResult {
  return { name, what: 'What is done.', slower: null, rows: 1_000, at: '2026-01-01T00:00:00Z', seconds: 60, lines, checks: [], exact: null, profile: null, error: null, ...more };
}

function run(commit: string, ...cases: readonly CaseResult[]): Run {
  return makeRun({ at: '2026-01-02T00:00:00Z', commit, machine: '2 cores', command: `./sluice bench --only ${commit}`, seconds: 60, cases });
}

const median: Line = { ...noFigures, name: 'median', rate: 90_000, bare: 150_000, cpu: { walsender: 2, worker: 6, temporal: 3 }, written: { worker: 300, temporal: 40 }, spooled: 120, figures: { [mainThreadFigure]: 61.4, [walsenderAloneFigure]: 7.25 } };
const at = (keys: number, rate: number): Line => ({ ...noFigures, name: `${keys} keys`, rate, bare: 150_000, point: { axis: 'keys', at: keys } });

test('the page has goals, each case, plots in order, what an event costs, and where the time goes', () => {
  const page = performancePage(run('abc', result('plain', [median], { profile, checks: [{ sink: 'redis', what: 'members', expected: '1', actual: '1', equal: true }], exact: true }), result('growth', [at(10_000, 50_000), at(100, 90_000.4)], { slower: 'it grows' })));
  expect(page).toContain('2026-01-02, commit abc, on 2 cores');
  expect(page).toContain('| plain: ratio to bare receiving in the same round, median | at least 0.65 | 0.6 | **NOT met** |');
  expect(page).toContain('; CPU s per 1M of the walsender, bare 7.25 | 90,000 | 150,000 | 0.600 | - | 8.00 | - | yes |');
  expect(page).toContain('1 comparisons; all equal: yes.');
  expect(page).toMatch(/x-axis "keys" \["100", "10,000"\]\n {2}y-axis "events\/s" 0 --> 150000\n {2}bar \[90000, 50000\]\n {2}line \[150000, 150000\]/);
  expect(page).toContain('| temporal (not in the sum) | 3.00 | 40 |');
  expect(page).toContain('| plain: median | 0.99 | 61 % | worker 6.0, temporal 3.0, walsender 2.0 |');
  expect(page).toContain('the walsender alone takes 7.3 CPU seconds for a million');
  expect(page).toContain('All together 340 bytes an event, of which the spool is 120.');
  expect(page).toContain('![Flame graph of the worker](performance-worker.svg)');
  expect(page).toContain('| `fold` | core/fold.ts:10 | 80.0 % |');
  expect(page).toContain('Why an event may take longer than a plain one: it grows.');
});

test('what was not measured is not there, and what failed or was not equal is', () => {
  const page = performancePage(run('abc', result('burst', [], { error: 'It was given up.' }), result('tiny', [], { checks: [{ sink: 'redis', what: 'members', expected: '1', actual: '2', equal: false }], exact: false })));
  expect(page).toContain('**Not done to its end**: It was given up.');
  expect(page).toContain('- **Not exact**: redis, members: 2, expected 1');
  for (const heading of ['How cost grows', 'What a plain event costs', 'What bounds it', 'Where the time']) expect(page).not.toContain(`## ${heading}`);
});

test('of several runs the later one of a case counts', () => {
  const both = merged([run('one', result('plain', [median]), result('burst', [], { error: 'It was given up.' })), run('two', result('burst', [at(1, 5)]))]);
  expect(both.cases.map(({ name, error }) => [name, error])).toEqual([['plain', null], ['burst', null]]);
  expect(both).toMatchObject({ commit: 'one; two', machine: '2 cores', seconds: 120 });
  expect(performancePage(both)).toContain('./sluice bench --only one\n./sluice bench --only two');
});
