import { apart, type CpuByProcess } from './cpu.ts';
import type { Check } from './exactness.ts';
import type { Latency } from './latency.ts';
import type { Round } from './round.ts';

/** What `./sluice bench --json` prints. Rates in events per second, CPU in seconds for a million events. */
export type Report = {
  readonly rounds: readonly Omit<Round, 'cpu' | 'lanes'>[];
  /** Median of pipeline / receive. */
  readonly ratio: number;
  /** Without Temporal and load. */
  readonly cpuSecondsPerMillion: number;
  readonly cpuByProcess: CpuByProcess;
  readonly peakRssMiB: number;
  readonly latency: readonly Latency[];
  readonly exact: boolean;
  readonly checks: readonly Check[];
};

export function makeReport(measured: { rounds: readonly Round[]; rows: number; peakRssMiB: number; latency: readonly Latency[]; checks: readonly Check[] }): Report {
  const { rounds, rows, peakRssMiB, latency, checks } = measured;
  const names = Object.keys(rounds[0]!.cpu);
  const cpuByProcess = Object.fromEntries(names.map((name) => [name, rounded((median(rounds.map(({ cpu }) => cpu[name]!)) * 1e6) / rows, 3)]));
  return {
    rounds: rounds.map(({ receive, pipeline, ratio, tool, toolRatio }) => ({
      receive: Math.round(receive),
      pipeline: Math.round(pipeline),
      ratio: rounded(ratio, 3),
      tool: tool === undefined ? undefined : Math.round(tool),
      toolRatio: toolRatio === undefined ? undefined : rounded(toolRatio, 3),
    })),
    ratio: rounded(median(rounds.map(({ ratio }) => ratio)), 3),
    cpuSecondsPerMillion: rounded(names.filter((name) => !apart.has(name)).reduce((sum, name) => sum + cpuByProcess[name]!, 0), 3),
    cpuByProcess,
    peakRssMiB: Math.round(peakRssMiB),
    latency: latency.map((each) => ({ ...each, p50: rounded(each.p50, 1), p99: rounded(each.p99, 1) })),
    exact: checks.every(({ equal }) => equal),
    checks,
  };
}

export function describe(report: Report): string {
  const count = (value: number | undefined) => (value === undefined ? '-' : value.toLocaleString('en')).padStart(10);
  const toolRatios = report.rounds.flatMap(({ toolRatio }) => toolRatio ?? []);
  return [
    'round    received   pipeline   ratio   pg_recvlogical   received / pg_recvlogical',
    ...report.rounds.map(({ receive, pipeline, ratio, tool, toolRatio }, index) => `${String(index + 1).padEnd(7)}${count(receive)} ${count(pipeline)}   ${ratio.toFixed(2).padStart(5)}   ${count(tool).padStart(14)}   ${(toolRatio?.toFixed(2) ?? '-').padStart(25)}`),
    '',
    `ratio (median)            ${report.ratio.toFixed(2)}${toolRatios.length > 0 ? `; received / pg_recvlogical ${median(toolRatios).toFixed(2)}` : '; pg_recvlogical is not on PATH'}`,
    `events per second         ${count(median(report.rounds.map(({ pipeline }) => pipeline))).trim()} (median)`,
    `CPU seconds per million   ${report.cpuSecondsPerMillion.toFixed(2)} without Temporal and load`,
    ...Object.entries(report.cpuByProcess).map(([name, seconds]) => `  ${name.padEnd(24)}${seconds.toFixed(2)}${apart.has(name) ? '   (not in the sum)' : ''}`),
    `peak memory of the worker ${report.peakRssMiB} MiB`,
    ...report.latency.map(({ lingerMs, sink, p50, p99 }) => `latency to ${sink.padEnd(15)}p50 ${p50} ms, p99 ${p99} ms (linger ${lingerMs} ms)`),
    `exact                     ${report.exact ? 'yes' : 'NO'}`,
    ...report.checks.map(({ sink, what, expected, actual, equal }) => `  ${sink.padEnd(12)}${what}: ${actual}${equal ? '' : `   EXPECTED ${expected}`}`),
  ].join('\n');
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
