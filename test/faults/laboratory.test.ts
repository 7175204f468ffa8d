import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import type { ChaosReport } from '../../chaos/report.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';

const portBase = String(inject('portBase') + 120);

/** TRUNCATE first: what comes after it is what is compared in the end. */
const chosen = {
  laboratory: ['data/values', 'data/values'],
  // the second takes away what the first has added
  trending: ['backfill/extremes-lost', 'apply/changed', 'apply/killed'],
  engagement: ['data/truncate', 'data/rollback', 'data/key-update', 'data/toast', 'time/hour-early-and-late', 'time/year-9999', 'data/no-primary-key'],
};

describe('data, time and definitions as they are not expected', () => {
  test.each(Object.entries(chosen))('%s: each strikes, and in the end every sink is equal', { timeout: 240_000 }, async (pipeline, faults) => {
    const args = ['chaos', '--seed', '20262', '--json', '--port-base', portBase, '--pipeline', pipeline, ...faults.flatMap((name) => ['--fault', name])];
    const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      execFile(join(checkout, 'sluice'), args, { maxBuffer: 64 << 20 }, (error, out, said) => resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, stdout: out, stderr: said }));
    });
    if (stdout === '') throw new Error(`there is no report:\n${stderr}`);
    const report = JSON.parse(stdout) as ChaosReport;
    expect({ error: report.error, failed: report.faults.filter(({ ok }) => !ok) }).toEqual({ error: null, failed: [] });
    expect(report.faults.map(({ name, evidence }) => [name, evidence !== ''])).toEqual(faults.map((name) => [name, true]));
    expect(report.verification?.checks.filter(({ equal }) => !equal)).toEqual([]);
    expect(report.workerPeakMiB).toBeLessThan(512);
    expect(code).toBe(0);
  });
});
