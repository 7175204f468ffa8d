import { table } from '../bench/markdown.ts';
import type { Fault } from './fault.ts';
import { promises } from './promises.ts';
import { type ChaosReport, type FaultReport, rateOf } from './report.ts';

export type LaboratoryRun = {
  /** ISO date. */
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
  readonly reports: readonly ChaosReport[];
};

/** `repeated`: runs of some faults after it, the oldest first. */
export type FullRun = LaboratoryRun & { readonly repeated?: readonly LaboratoryRun[] };

type Described = Pick<Fault, 'name' | 'what' | 'expected' | 'drawn'>;

/** docs/guarantees.md, out of what the laboratory said in its last full run. Of a fault that was repeated after it, the last time counts. */
export function guaranteesPage(faults: readonly Described[], { date, commit, machine, reports: first, repeated = [] }: FullRun): string {
  const reports = [...first, ...repeated.flatMap((run) => run.reports)];
  const done = new Map(reports.flatMap((report) => report.faults.map((fault) => [fault.name, { fault, report }] as const)));
  const families = Map.groupBy(faults, ({ name }) => name.split('/')[0]!);
  const held = [...done.values()].filter(({ fault }) => fault.ok).length;
  const missing = faults.filter(({ name }) => !done.has(name)).map(({ name }) => name);
  const comparisons = reports.reduce((sum, report) => sum + report.comparisons, 0);
  const equal = reports.filter((report) => report.equal).length;
  const which = done.size < faults.length ? 'Last run, of a part of the faults' : 'Last full run';
  return [
    '# What is guaranteed, and what was done to break it',
    '',
    '<!-- Made by ./sluice test --full out of what the laboratory said. Do not edit. -->',
    '',
    'What the words mean is in [words.md](words.md); the rules in brackets are those that tests are named after.',
    '',
    '## What is promised',
    '',
    ...table(['where', 'what', 'by what'], promises.map(({ sink, promised, means }) => [sink, promised, means])),
    '',
    '## What was done to it',
    '',
    `${which}: ${date}, commit ${commit}, ${machine}. ${done.size} of ${faults.length} faults on real services under load, one after another in ${reports.length} runs; ${held} ended as expected. At its end, and before each fault after which a sink is made anew out of the source or the panes (which hides what was lost there until then), a run compares every sink with all of the source at one position (\`verify\`), ${comparisons} times in all: ${equal} of ${reports.length} runs were equal.${missing.length === 0 ? '' : ` Not in it: ${missing.join(', ')}.`}${repeated.map(repetition).join('')}`,
    '',
    '*Fences* is the time from the end of the cause until the fence of every lane had moved; *caught up*, until every lane had all that was in the source at that moment.',
    ...[...families].flatMap(([family, list]) => ['', `### ${titles[family] ?? family}`, '', ...table(['fault', 'what happens', 'fences', 'caught up', 'seen'], list.map((fault) => faultRow(fault, done.get(fault.name), reports)))]),
    '',
    '## The runs',
    '',
    ...table(
      ['pipeline', 'load', 'faults', 'worker at most', 'compared', 'verify'],
      reports.map((report) => [report.pipeline, report.pipeline === 'laboratory' ? 'rows of every value' : `${rateOf(report)} events/s`, `${report.faults.filter(({ ok }) => ok).length} of ${report.faults.length} as expected`, `${Math.round(report.workerPeakMiB)} MiB`, `${report.comparisons} times`, verdict(report)]),
    ),
    '',
    'A random run of your own: `./sluice chaos --seed 7 --minutes 5`. What can be drawn and what comes only by name: `./sluice chaos --list`. The in-memory simulation, 10,000 schedules and the planted bugs that it must find: `npx vitest run --project simulation`.',
    '',
  ].join('\n');
}

function repetition({ date, commit, reports }: LaboratoryRun): string {
  const names = reports.flatMap((report) => report.faults.map(({ name }) => name));
  return ` Repeated after it, on ${date} with commit ${commit}: ${names.join(', ')}.`;
}

function faultRow({ name, what, expected }: Described, done: { fault: FaultReport; report: ChaosReport } | undefined, reports: readonly ChaosReport[]): string[] {
  const title = `**${name}** ${what} \`./sluice chaos${done && done.report.pipeline !== 'engagement' ? ` --pipeline ${done.report.pipeline}` : ''} --fault ${name}\``;
  if (!done) return [title, expected, '-', '-', 'not in the last run'];
  const { fault, report } = done;
  if (!fault.ok) return [title, expected, '-', '-', `FAILED: ${fault.error ?? ''}`];
  return [title, expected, seconds(fault.recoverySeconds), seconds(fault.caughtUpSeconds), `${fault.evidence ?? ''}${failedBefore(name, reports)}${report.equal ? '' : '; the run it was in did not end equal'}`];
}

/** A try that failed is not hidden by one that did not. */
function failedBefore(name: string, reports: readonly ChaosReport[]): string {
  const failed = reports.flatMap(({ faults }) => faults.filter((each) => each.name === name && !each.ok));
  return failed.map(({ error }) => `; an earlier try FAILED: ${error ?? ''}`).join('');
}

function verdict({ equal, error }: ChaosReport): string {
  return `${equal ? 'equal' : 'NOT equal'}${error === null ? '' : `: ${error}`}`;
}

function seconds(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(1)} s`;
}

const titles: Readonly<Record<string, string>> = {
  worker: 'The worker',
  temporal: 'Temporal',
  source: 'The source',
  redis: 'Redis',
  clickhouse: 'ClickHouse',
  http: 'The HTTP receiver',
  state: 'The state database',
  data: 'Data',
  time: 'Time',
  backfill: 'Backfills',
  migration: 'Migrations',
  apply: 'Definitions that change',
};
