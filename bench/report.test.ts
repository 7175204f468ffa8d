import { expect, test } from 'vitest';
import { describe as describeReport, makeReport } from './report.ts';
import type { Round } from './round.ts';

function round(receive: number, pipeline: number, worker: number): Round {
  return { receive, pipeline, ratio: pipeline / receive, tool: undefined, toolRatio: undefined, cpu: { walsender: 1, worker, temporal: 9 }, lanes: {} };
}

const rounds = [round(200_000, 100_000, 2), round(200_000, 20_000, 4), round(100_000, 90_000, 3)];
const equal = { sink: 'redis', what: 'members', expected: '1', actual: '1', equal: true };

test('the report has medians, and CPU seconds for a million events without Temporal', () => {
  const report = makeReport({ rounds, rows: 500_000, peakRssMiB: 300.4, latency: [{ lingerMs: 50, sink: 'redis', p50: 31.26, p99: 60 }], checks: [equal] });
  expect(report).toMatchObject({
    ratio: 0.5,
    rounds: [{ receive: 200_000, pipeline: 100_000, ratio: 0.5 }, { ratio: 0.1 }, { ratio: 0.9 }],
    cpuByProcess: { walsender: 2, worker: 6, temporal: 18 },
    cpuSecondsPerMillion: 8,
    peakRssMiB: 300,
    latency: [{ lingerMs: 50, sink: 'redis', p50: 31.3, p99: 60 }],
    exact: true,
  });
  expect(describeReport(report)).toMatch(/ratio \(median\) +0\.50; pg_recvlogical is not on PATH/);
});

test('one difference is not exact, and is shown', () => {
  const report = makeReport({ rounds, rows: 1_000, peakRssMiB: 1, latency: [], checks: [equal, { ...equal, actual: '2', equal: false }] });
  expect(report.exact).toBe(false);
  expect(describeReport(report)).toMatch(/exact +NO/);
  expect(describeReport(report)).toMatch(/members: 2 +EXPECTED 1/);
});
