import { isOpen, type Rebuilding } from './views/rebuilding.ts';
import type { PaneRange } from './views/fold.ts';
import type { PaneSet } from './views/panes.ts';

/** Whole panes with changes that came too late for their windows (E14), and the views that are made of them. */
export type StaleRange = PaneRange & { readonly views: readonly string[] };

/** One at a time for a pipeline. */
export function repairWorkflowId(pipeline: string): string {
  return `repair/${pipeline}`;
}

/**
 * Ranges over panes of a set that begin at these times, ascending: of panes that are near each other one, as reading what is
 * between costs less than a snapshot. Without those that a backfill computes anyway.
 */
export function staleRanges({ name, paneMs, views }: Pick<PaneSet, 'name' | 'paneMs' | 'views'>, panes: readonly number[], rebuilding: readonly Rebuilding[]): StaleRange[] {
  const computed = rebuilding.filter((each) => isOpen(each) && each.sets.includes(name));
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
