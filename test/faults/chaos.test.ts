import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import type { ChaosReport } from '../../chaos/report.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';

const portBase = String(inject('portBase') + 100);

/**
 * Some of each family, those that have found most first, two at once where they strike different things; all of them,
 * each alone, are in the full run.
 */
const chosen = [
  'worker/kill-after-link+http/410',
  'worker/kill-clickhouse-before-fence+state/deadlock',
  'worker/kill-http-before-fence+redis/flushall',
  'worker/kill-in-window-close+clickhouse/too-many-parts',
  'worker/kill-in-first-load',
  'worker/spool-deleted+redis/aof-tail-lost',
  'temporal/killed+source/walsender-terminated',
  'temporal/reset+http/accepted-but-500',
  'source/restart',
  'source/select-revoked+state/half-accepting',
];

describe('faults on the real services', () => {
  test('each strikes, every fence moves again, and in the end every sink is equal', { timeout: 300_000 }, async () => {
    const { code, stdout, stderr } = await chaos('--seed', '20261', '--json', '--port-base', portBase, ...chosen.flatMap((name) => ['--fault', name]));
    if (stdout === '') throw new Error(`there is no report:\n${stderr}`);
    const report = JSON.parse(stdout) as ChaosReport;
    expect({ error: report.error, failed: report.faults.filter(({ ok }) => !ok) }).toEqual({ error: null, failed: [] });
    expect(report.faults.map(({ name }) => name)).toEqual(chosen.flatMap((names) => names.split('+')));
    for (const { evidence, recoverySeconds } of report.faults) {
      expect(evidence).not.toBe('');
      expect(recoverySeconds).toBeLessThan(60);
    }
    expect(report.verification?.checks.filter(({ equal }) => !equal)).toEqual([]);
    expect(report.workerPeakMiB).toBeLessThan(512);
    expect(code).toBe(0);
  });

  test.each([
    [['--fault', 'worker/nothing'], /no fault worker\/nothing.*--list/s],
    [['--seed', 'x'], /--seed x.*--seed 7/s],
    [['--minutes', '0'], /--minutes 0/],
    [['--pipeline', 'nothing'], /no pipeline nothing.*engagement/s],
    [['--sed', '7'], /--sed/],
    [['seven'], /seven/],
  ])('bad input is refused with a sentence and exit code 2: %j', async (args, sentence) => {
    const { code, stdout, stderr } = await chaos(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(sentence);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

function chaos(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(join(checkout, 'sluice'), ['chaos', ...args], { maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, stdout, stderr });
    });
  });
}
