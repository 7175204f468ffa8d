import type { Verification } from '../core/verification.ts';
import { verificationText } from '../core/verification.ts';
import type { LoadParameters } from './load.ts';

/** One fault of a run, as docs/guarantees.md needs it. */
export type FaultReport = {
  readonly name: string;
  readonly what: string;
  readonly expected: string;
  /** Since the load began. */
  readonly atSeconds: number;
  /** From its beginning until its cause was over. */
  readonly tookSeconds: number;
  readonly evidence: string | null;
  /** From the end of the cause until the fence of every lane had moved. */
  readonly recoverySeconds: number | null;
  /** Until every lane had what was in the source at that moment. */
  readonly caughtUpSeconds: number | null;
  readonly lanes: Readonly<Record<string, number>>;
  readonly ok: boolean;
  readonly error: string | null;
  /** The command that does this one, and what overlapped with it, alone. */
  readonly repeat: string;
};

export type ChaosReport = {
  readonly seed: number;
  readonly pipeline: string;
  readonly minutes: number;
  readonly load: LoadParameters;
  /** Transactions by hand, by kind. */
  readonly transactions: Readonly<Record<string, number>>;
  readonly faults: readonly FaultReport[];
  readonly medianRecoverySeconds: number | null;
  readonly worstRecoverySeconds: number | null;
  /** The most that any worker process had resident. */
  readonly workerPeakMiB: number;
  /** How often a worker process began. */
  readonly workers: number;
  readonly quietSeconds: number | null;
  /** What the load generator has inserted, and how long it ran. */
  readonly written: { readonly rows: number; readonly seconds: number };
  /** How often everything was compared: before what would have hidden what was lost until then, and at the end. */
  readonly comparisons: number;
  readonly verification: Verification | null;
  /** Why the run could not go to its end, or could not compare. */
  readonly error: string | null;
  readonly equal: boolean;
  /** Equal, and every fault struck and was recovered from. */
  readonly ok: boolean;
  /** The command that repeats the run. */
  readonly repeat: string;
  /** Where everything lies, if it was kept. */
  readonly kept: string | null;
};

export function middle(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}

export function reportText(report: ChaosReport): string {
  const seconds = (value: number | null) => (value === null ? '-' : `${value.toFixed(1)} s`);
  const failed = report.faults.filter(({ ok }) => !ok);
  const text = [
    '',
    report.verification ? verificationText(report.verification) : `${report.pipeline} was not compared.`,
    '',
    `${report.faults.length} ${report.faults.length === 1 ? 'fault' : 'faults'}, ${report.faults.length - failed.length} as expected; every fence moved again after ${seconds(report.medianRecoverySeconds)} (median), ${seconds(report.worstRecoverySeconds)} (worst)`,
    `compared ${report.comparisons} times; the load was ${rateOf(report)} events/s, and transactions of every shape`,
    `worker at most ${Math.round(report.workerPeakMiB)} MiB in ${report.workers} processes; all lanes at the end of the WAL ${seconds(report.quietSeconds)} after the load`,
    ...failed.map(({ name, error, repeat }) => `FAILED ${name}: ${error}\n  by itself: ${repeat}`),
    ...(report.error === null ? [] : [`FAILED: ${report.error}`]),
    report.ok ? `seed ${report.seed}: every sink is equal` : `seed ${report.seed} FAILED. Again: ${report.repeat}`,
  ].join('\n');
  return withPlace(text, report.kept);
}

/** Events a second, as the generator wrote them. */
export function rateOf({ written }: Pick<ChaosReport, 'written'>): number {
  return written.seconds > 0 ? Math.round(written.rows / written.seconds) : 0;
}

/** Below a report: where everything lies, if it was kept. */
export function withPlace(report: string, kept: string | null): string {
  return kept === null ? report : `${report}\nEverything lies in ${kept}`;
}
