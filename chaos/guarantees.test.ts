import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { faults as all } from './faults/index.ts';
import { guaranteesPage } from './guarantees.ts';
import type { ChaosReport, FaultReport } from './report.ts';

const faults = [
  { name: 'worker/drain', what: 'The worker gets SIGTERM.', expected: 'Its steps end.', drawn: true },
  { name: 'worker/two', what: 'Two a|b.', expected: 'One wins.', drawn: true },
  { name: 'redis/flushall', what: 'FLUSHALL.', expected: 'Rebuilt.', drawn: true },
];
const struck: FaultReport = { name: 'worker/drain', what: '', expected: '', atSeconds: 1, tookSeconds: 1, evidence: 'it ended in 0.2 s', recoverySeconds: 3.04, caughtUpSeconds: 4, lanes: {}, ok: true, error: null, repeat: '' };
const report: ChaosReport = {
  seed: 1, pipeline: 'engagement', minutes: 1, load: { rate: 500 } as ChaosReport['load'], transactions: {}, faults: [struck, { ...struck, name: 'worker/two', ok: false, error: 'it did not strike', recoverySeconds: null }],
  medianRecoverySeconds: 3, worstRecoverySeconds: 3, workerPeakMiB: 300.4, workers: 2, quietSeconds: 1, written: { rows: 4_000, seconds: 10 }, comparisons: 2, verification: null, error: null, equal: true, ok: false, repeat: '', kept: null,
};

test('says of each fault what was seen, that it failed, or that it was not done', () => {
  const page = guaranteesPage(faults, { date: '2026-01-01', commit: 'abc', machine: '2 cores', reports: [report] });
  const row = (name: string) => page.split('\n').find((line) => line.includes(`**${name}**`));
  expect(row('worker/drain')).toBe('| **worker/drain** The worker gets SIGTERM. `./sluice chaos --fault worker/drain` | Its steps end. | 3.0 s | 4.0 s | it ended in 0.2 s |');
  expect(row('worker/two')).toMatch(/a\\\|b.*FAILED: it did not strike \|$/);
  expect(row('redis/flushall')).toMatch(/not in the last run \|$/);
  expect(page).toContain('Last run, of a part of the faults');
  expect(page).toContain('2 of 3 faults on real services under load, one after another in 1 runs; 1 ended as expected');
  expect(page).toContain('2 times in all: 1 of 1 runs were equal. Not in it: redis/flushall.');
});

test('of a fault that was repeated after the full run the last time counts, and the page says so', () => {
  const again: ChaosReport = { ...report, faults: [{ ...struck, name: 'worker/two', evidence: 'one of them won' }], ok: true };
  const page = guaranteesPage(faults, { date: '2026-01-01', commit: 'abc', machine: '2 cores', reports: [report], repeated: [{ date: '2026-01-02', commit: 'def', machine: '2 cores', reports: [again] }] });
  expect(page).toMatch(/\*\*worker\/two\*\*.* \| One wins. \| 3.0 s \| 4.0 s \| one of them won; an earlier try FAILED: it did not strike \|/);
  expect(page).toContain('2 of 3 faults on real services under load, one after another in 2 runs; 2 ended as expected');
  expect(page).toContain('4 times in all: 2 of 2 runs were equal. Not in it: redis/flushall. Repeated after it, on 2026-01-02 with commit def: worker/two.');
});

test('what a run says of itself is not hidden by its being equal', () => {
  const page = guaranteesPage(faults, { date: '2026-01-01', commit: 'abc', machine: '2 cores', reports: [{ ...report, error: 'the load was 6 events/s.' }] });
  expect(page).toContain('| equal: the load was 6 events/s. |');
});

test('the page has every fault as it is described now, also those that came after the last full run', () => {
  const page = readFileSync(join(import.meta.dirname, '../docs/guarantees.md'), 'utf8');
  const rows = guaranteesPage(all, { date: '2026-01-01', commit: 'abc', machine: '2 cores', reports: [] }).split('\n').filter((line) => line.startsWith('| **'));
  expect(rows).toHaveLength(all.length);
  const titles = (text: string) => [...text.matchAll(/^\| (\*\*\S+\*\* .*) `\.\/sluice chaos .*?` \| (.*?) \| /gm)].map(([, what, expected]) => `${what} ${expected}`);
  expect(titles(page)).toEqual(titles(rows.join('\n')));
});

test('what it links to is there, and says what its words mean', () => {
  const page = guaranteesPage(faults, { date: '2026-01-01', commit: 'abc', machine: '2 cores', reports: [report] });
  const words = readFileSync(join(import.meta.dirname, '../docs', /\((\w+\.md)\)/.exec(page)![1]!), 'utf8');
  for (const word of ['epoch', 'fence', 'canary', 'late output', 'tombstone', 'relay', 'hold', 'lane', 'step', 'spool', 'pane']) expect(words).toContain(`| ${word} |`);
});
