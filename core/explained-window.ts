import { rangeText } from './backfill.ts';
import { BadInput } from './bad-input.ts';
import type { Pipeline, Text } from './pipeline.ts';
import type { Compared } from './reconcile.ts';
import { windowsText } from './reconcile-report.ts';
import { differenceText, textsText, type Texts } from './verification.ts';
import type { PaneRange } from './views/fold.ts';

export type ExplainRequest = {
  readonly pipeline: string;
  /** The first window that ends then or later is explained. */
  readonly atMs: number;
  readonly view: string;
};

/** What the source has of one window, and what each sink has. */
export type ExplainedWindow = PaneRange & {
  readonly pipeline: string;
  readonly view: string;
  /** All rows of that time; `counted`: those that the view counts. */
  readonly source: { readonly rows: number; readonly counted: Texts; readonly first: readonly Texts[] };
  readonly sinks: readonly { readonly sink: string; readonly has: string }[];
  readonly compared: readonly Compared[];
};

/** Throws BadInput with the views that there are. */
export function explainRequest(pipeline: Pipeline<Text>, atMs: number, view: string | undefined, nowMs: number): ExplainRequest {
  const views = Object.keys(pipeline.views);
  if (views.length === 0) throw new BadInput(`Pipeline ${pipeline.name} has no views, so no windows. To compare its rows of a time: ./sluice reconcile ${pipeline.name} --from … --to …`);
  if (view !== undefined && !views.includes(view)) throw new BadInput(`Pipeline ${pipeline.name} has no view ${view}; it has ${views.join(', ')}.`);
  if (atMs > nowMs) throw new BadInput(`The window of ${new Date(atMs).toISOString()} has not come yet. Ask for one that has closed.`);
  return { pipeline: pipeline.name, atMs, view: view ?? views[0]! };
}

export function windowAt({ everyMs, sizeMs }: { readonly everyMs: number; readonly sizeMs: number }, atMs: number): PaneRange {
  const toMs = Math.ceil(atMs / everyMs) * everyMs;
  return { fromMs: toMs - sizeMs, toMs };
}

export function explainedText({ pipeline, view, fromMs, toMs, source, sinks, compared }: ExplainedWindow): string {
  const range = rangeText(fromMs, toMs);
  const differing = compared.filter(({ different }) => different > 0);
  const problems = compared.flatMap(({ sink, problem }) => (problem === undefined ? [] : [`  ${sink}: ${problem}`]));
  const width = Math.max(...['source', ...sinks.map(({ sink }) => sink)].map(({ length }) => length));
  return [
    `${pipeline}, ${view}, the window ${range} (UTC): ${differing.length > 0 ? 'DIFFERENT' : problems.length > 0 ? 'what could be compared is equal' : 'equal everywhere'}`,
    '',
    `  ${'source'.padEnd(width)}  ${source.rows.toLocaleString('en')} rows; counted: ${textsText(source.counted)}`,
    ...sinks.map(({ sink, has }) => `  ${sink.padEnd(width)}  ${has}`),
    ...(source.first.length > 0 ? ['', 'first rows:', ...source.first.map((row) => `  ${textsText(row)}`)] : []),
    ...differing.flatMap((each) => ['', `${each.sink}, ${each.what}: ${windowsText(each)}`, ...each.differences.map((difference) => `  ${differenceText(difference)}`)]),
    ...(problems.length > 0 ? ['', ...problems] : []),
    ...(differing.length > 0 ? ['', `To repair it: ./sluice reconcile ${pipeline} --from ${range.split('..')[0]} --to ${range.split('..')[1]} --repair`] : []),
  ].join('\n');
}
