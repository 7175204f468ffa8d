import type { CaseResult } from './case.ts';
import { type Goal, goalsOf } from './goals.ts';
import { costOfLine, figureText, ratioOf } from './lines.ts';

/** What `./sluice bench --json` prints. */
export type Run = {
  /** ISO time. */
  readonly at: string;
  readonly commit: string;
  readonly machine: string;
  readonly command: string;
  readonly seconds: number;
  readonly cases: readonly CaseResult[];
  readonly goals: readonly Goal[];
};

/** Everything that was to be measured was, and was exact. Goals that are not met are no failure. */
export function isWhole({ cases }: Run): boolean {
  return cases.every(({ exact, error }) => exact !== false && error === null);
}

export function makeRun(run: Omit<Run, 'goals'>): Run {
  return { ...run, goals: goalsOf(run.cases) };
}

export const lineColumns = ['', 'events/s', 'bare', 'ratio', 'pg_recvlogical', 'CPU s per 1M', 'worker MiB', 'exact'] as const;

/** One row a line, below `lineColumns`; what only such a case has is put behind its name. */
export function lineCells({ lines, exact }: CaseResult): string[][] {
  const number = (value: number | null, digits = 0) => (value === null ? '-' : digits === 0 ? Math.round(value).toLocaleString('en') : value.toFixed(digits));
  return lines.map((line) => {
    const figures = Object.entries(line.figures ?? {}).map(([name, value]) => `${name} ${figureText(value)}`);
    return [
      [line.name, ...figures].join('; '),
      number(line.rate),
      number(line.bare),
      number(ratioOf(line), 3),
      number(line.tool),
      number(costOfLine(line), 2),
      line.peakMiB === null ? '-' : String(Math.ceil(line.peakMiB)),
      exactText(exact),
    ];
  });
}

export function exactText(exact: boolean | null): string {
  return exact === null ? '-' : exact ? 'yes' : 'NO';
}

export function metText(met: boolean | null): string {
  return met === null ? '-' : met ? 'met' : 'NOT met';
}

export function runText({ cases, goals, machine, commit, seconds }: Run): string {
  return [
    ...cases.flatMap((each) => ['', `${each.name} (${each.rows.toLocaleString('en')} events asked for, ${Math.round(each.seconds)} s): ${each.what}`, ...(each.lines.length > 0 ? aligned([lineColumns, ...lineCells(each)]) : []), ...troubles(each)]),
    '',
    ...aligned([['goal', 'aimed at', 'measured', ''], ...goals.map(({ what, bound, text, met }) => [what, bound, text, metText(met)])]),
    '',
    `${machine}; commit ${commit}; ${Math.round(seconds)} s`,
  ].join('\n');
}

function troubles({ checks, error }: CaseResult): string[] {
  return [
    ...checks.filter(({ equal }) => !equal).map(({ sink, what, expected, actual }) => `  NOT EXACT: ${sink}, ${what}: ${actual}, expected ${expected}`),
    ...(error === null ? [] : [`  FAILED: ${error}`]),
  ];
}

/** The first column is text, the others are figures. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ').trimEnd());
}
