import { replacing, type Rebuilding } from './views/rebuilding.ts';
import type { PaneRange } from './views/fold.ts';
import type { PaneSet } from './views/panes.ts';

/** Whole panes with changes that came too late for their windows (E14), or that have lost a min or max (E15), and the views that are made of them. */
export type StaleRange = PaneRange & { readonly views: readonly string[] };

/** What a repair is to do. Without an index on the event time every range costs scans of the whole table. */
export type Stale = { readonly ranges: readonly StaleRange[]; readonly hasIndex: boolean };

/** One range for the views of each set, over its ranges of the first day that has any; oldest first, as they are given. */
export function joined(ranges: readonly StaleRange[]): readonly StaleRange[] {
  const byViews = new Map<string, StaleRange>();
  for (const range of ranges) {
    const views = range.views.join();
    const { fromMs, toMs } = byViews.get(views) ?? range;
    if (range.toMs - fromMs <= dayMs || range.fromMs === fromMs) byViews.set(views, { ...range, fromMs, toMs: Math.max(toMs, range.toMs) });
  }
  return [...byViews.values()];
}

const dayMs = 86_400_000;

export function covers(range: StaleRange, other: StaleRange): boolean {
  return range.views.join() === other.views.join() && range.fromMs <= other.fromMs && other.toMs <= range.toMs;
}

export type RepairInput = {
  readonly pipeline: string;
  /** So long are late changes gathered, and so far apart are repairs. */
  readonly afterMs: number;
  /** How long it rests at its end where each repair reads the whole table; missing: an hour. */
  readonly restMs?: number;
  /** Only by workers that have this definition. */
  readonly definitionHash?: string;
  /** By a person, who is told why nothing can be repaired. */
  readonly isAsked?: true;
};

/** What a repair did. A range that could not be computed is tried again by the next one. */
export type RepairReport = { readonly repaired: readonly string[]; readonly failed: readonly string[]; readonly rows: number; /** Ranges that were not come to. */ readonly left: number };

export function repairText(pipeline: string, { repaired, failed, rows, left }: RepairReport): string {
  if (repaired.length + failed.length === 0) return `${pipeline}: no window that has closed lacks late changes, or has lost a min or max.`;
  return [...repaired.map((range) => `computed anew: ${range}`), ...failed.map((range) => `NOT DONE: ${range}`), `${rows} rows read`, ...(left > 0 ? [`${left} ranges are left for the next repair`] : [])].join('\n');
}

/** The pipeline's own, one at a time. */
export function repairWorkflowId(pipeline: string): string {
  return `repair/${pipeline}`;
}

/**
 * Ranges over panes of a set that begin at these times, ascending: of panes that are near each other one, as reading what is
 * between costs less than a snapshot. Without those that a backfill computes anyway.
 */
export function staleRanges({ name, paneMs, views }: Pick<PaneSet, 'name' | 'paneMs' | 'views'>, panes: readonly number[], rebuilding: readonly Rebuilding[]): StaleRange[] {
  const computed = replacing(rebuilding).filter(({ sets }) => sets.includes(name));
  const ranges: { fromMs: number; toMs: number }[] = [];
  for (const fromMs of panes) {
    const toMs = fromMs + paneMs;
    if (computed.some((each) => each.fromMs < toMs && fromMs < each.toMs)) continue;
    const last = ranges.at(-1);
    const isNear = last !== undefined && fromMs - last.toMs <= nearPanes * paneMs && !computed.some((each) => each.fromMs < toMs && last.fromMs < each.toMs);
    if (isNear) last.toMs = toMs;
    else ranges.push({ fromMs, toMs });
  }
  return ranges.map((range) => ({ ...range, views: views.map((view) => view.name) }));
}

const nearPanes = 30;
