import { rangeText } from './backfill.ts';
import type { Compared, Due } from './reconcile.ts';
import { differenceText } from './verification.ts';
import type { PaneRange } from './views/fold.ts';

export const reconcileStates = ['equal', 'different', 'repaired', 'incomplete'] as const;
export type ReconcileState = (typeof reconcileStates)[number];

/** What a reconcile found, and did. */
export type ReconcileReport = {
  readonly pipeline: string;
  readonly state: ReconcileState;
  readonly repair: boolean;
  /** What it was to compare. */
  readonly ranges: readonly PaneRange[];
  /** Of these what its time was too short for. */
  readonly left: readonly PaneRange[];
  /** Before anything was repaired. */
  readonly compared: readonly Compared[];
  /** Of the source, read. */
  readonly rows: number;
  readonly repaired: readonly string[];
  readonly failed: readonly string[];
  /** Why it could not compare all that it was to. */
  readonly problem: string | null;
  /** ISO time. */
  readonly ended: string;
  /** Where the next one goes on, of those that begin by themselves. */
  readonly next?: Due;
};

export function reconcileState({ compared, repaired, failed, problem }: Pick<ReconcileReport, 'compared' | 'repaired' | 'failed' | 'problem'>): ReconcileState {
  const differs = compared.some(({ different }) => different > 0);
  if (failed.length > 0 || (differs && repaired.length === 0)) return 'different';
  if (problem !== null || compared.some((each) => each.problem !== undefined)) return 'incomplete';
  return differs ? 'repaired' : 'equal';
}

/** After a repair: what was found to differ, and is compared again. `again`: undefined if that could not be done. */
export function repairOutcome(before: readonly Compared[], again: readonly Compared[] | undefined): { readonly repaired: readonly string[]; readonly failed: readonly string[] } {
  const [repaired, failed]: [string[], string[]] = [[], []];
  for (const one of before.filter(({ different }) => different > 0)) {
    const now = again?.find(({ sink, what }) => sink === one.sink && what === one.what);
    const text = `${one.sink}, ${one.what}: ${windowsText(one)}`;
    if (!now) failed.push(`${text}: it was not compared again`);
    else if (now.problem !== undefined) failed.push(`${text}: ${now.problem}`);
    else if (now.different > 0) failed.push(`${text}: ${windowsText(now)} still, ${differenceText(now.differences[0]!)}${one.mend.tag === 'rows' ? '. A row whose version is above the stream has to be deleted there by hand, and repaired then' : one.mend.tag === 'none' && now.note !== undefined ? `; ${now.note}` : ''}`);
    else repaired.push(text);
  }
  // what differs only since is no success either
  for (const now of again ?? []) if (now.different > 0 && !before.some((one) => one.different > 0 && one.sink === now.sink && one.what === now.what)) failed.push(`${now.sink}, ${now.what}: ${windowsText(now)} after the repair, ${differenceText(now.differences[0]!)}`);
  return { repaired, failed };
}

/** One line, for status and dashboard. */
export function reconcileSentence({ state, compared, repaired, failed, problem, left }: Pick<ReconcileReport, 'state' | 'compared' | 'repaired' | 'failed' | 'problem' | 'left'>): string {
  const windows = compared.reduce((sum, each) => sum + each.windows, 0);
  const different = compared.filter((each) => each.different > 0).map(({ sink, different: count, windows: of }) => `${count.toLocaleString('en')} of ${of.toLocaleString('en')} of ${sink}`);
  const why = problem ?? compared.find((each) => each.problem !== undefined)?.problem;
  if (compared.length === 0 && why !== undefined) return `nothing was compared: ${why}`;
  const parts = [
    state === 'repaired' ? `${different.join(', ')} differed, and were repaired` : different.length > 0 ? `windows differ: ${different.join(', ')}` : `${windows.toLocaleString('en')} windows compared, ${state === 'equal' ? 'all equal' : 'none differs'}`,
    ...(failed.length > 0 && repaired.length > 0 ? [`${failed.length} not repaired`] : []),
    ...(why === undefined ? [] : [`not all could be compared: ${why}`]),
    ...(left.length > 0 ? ['the next one goes on with what is left'] : []),
  ];
  return parts.join('; ');
}

/** What the command prints. */
export function reconcileText(report: ReconcileReport): string {
  const { pipeline, ranges, left, compared, rows, repaired, failed, problem, repair } = report;
  const differing = compared.filter(({ different }) => different > 0);
  const mendable = differing.filter(({ mend }) => mend.tag !== 'none');
  return [
    `${pipeline}, ${ranges.map(({ fromMs, toMs }) => rangeText(fromMs, toMs)).join(' and ') || (problem === null ? 'nothing has closed' : 'no range')} (UTC): ${reconcileSentence(report)}`,
    ...compared.map(comparedLine),
    ...differing.flatMap((each) => ['', `${each.sink}, ${each.what}: ${windowsText(each)}`, ...each.differences.map((difference) => `  ${differenceText(difference)}`)]),
    '',
    `${rows.toLocaleString('en')} rows of the source read`,
    ...(left.length > 0 ? [`left: ${left.map(({ fromMs, toMs }) => rangeText(fromMs, toMs)).join(', ')}`] : []),
    ...repaired.map((text) => `repaired: ${text}`),
    ...failed.map((text) => `NOT REPAIRED: ${text}`),
    ...(problem === null ? [] : [problem]),
    ...(mendable.length > 0 && !repair ? [`To repair ${mendable.length === differing.length ? 'it' : mendable.map(({ sink }) => sink).join(', ')}: ./sluice reconcile ${pipeline} ${optionsOf(mendable)} --repair`] : []),
  ].join('\n');
}

function comparedLine({ sink, what, windows, different, note, problem }: Compared): string {
  const found = windows === 0 ? [] : [`${windows.toLocaleString('en')} ${windows === 1 ? 'window' : 'windows'}, ${different === 0 ? 'none differs' : `${different.toLocaleString('en')} DIFFER`}`];
  return `  ${sink}, ${what}: ${[...found, ...(note === undefined ? [] : [note]), ...(problem === undefined ? [] : [problem])].join('; ') || 'nothing was compared'}`;
}

/** `2 windows, 10:00:10..10:00:20 and 11:00..11:00:10`. */
export function windowsText({ different, differing }: Compared): string {
  const shown = differing.slice(0, mostShown).map(({ fromMs, toMs }) => rangeText(fromMs, toMs));
  return `${different.toLocaleString('en')} ${different === 1 ? 'window' : 'windows'}, ${shown.join(', ')}${differing.length > mostShown ? `, and ${differing.length - mostShown} more ranges` : ''}`;
}

const mostShown = 10;

/** `--from … --to …` over all that differs. */
function optionsOf(differing: readonly Compared[]): string {
  const ranges = differing.flatMap((each) => each.differing);
  const [from, to] = rangeText(Math.min(...ranges.map(({ fromMs }) => fromMs)), Math.max(...ranges.map(({ toMs }) => toMs))).split('..');
  return `--from ${from} --to ${to}`;
}

/** What status, dashboard and metrics have of the last one. */
export type ReconcileSummary = {
  readonly state: ReconcileState;
  readonly ended: string;
  readonly sentence: string;
  readonly workflowId: string;
  readonly sinks: readonly { readonly sink: string; readonly windows: number; readonly different: number }[];
};

export function reconcileSummary(report: ReconcileReport, workflowId: string): ReconcileSummary {
  const sinks = new Map<string, { windows: number; different: number }>();
  for (const { sink, windows, different } of report.compared) {
    const sum = sinks.get(sink) ?? { windows: 0, different: 0 };
    sinks.set(sink, { windows: sum.windows + windows, different: sum.different + different });
  }
  const { state, ended } = report;
  return { state, ended, sentence: reconcileSentence(report), workflowId, sinks: [...sinks].map(([sink, counts]) => ({ sink, ...counts })) };
}
