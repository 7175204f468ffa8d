import type { Pipeline } from '../../core/pipeline.ts';
import type { Progress } from './progress.ts';
import type { AggregateTransaction } from './tables.ts';

/** Panes before this need not be kept at a clock: whole hours, and never what a window can still change. */
export function horizonAt(pipeline: Pipeline, clockUs: number): number {
  const { paneRetentionMs, watermarkDelayMs, allowedLatenessMs } = pipeline.settings;
  const longest = Math.max(0, ...Object.values(pipeline.views).map(({ window }) => window.sizeMs));
  const keptMs = Math.max(paneRetentionMs, watermarkDelayMs + allowedLatenessMs + 2 * longest);
  const hourMs = 3_600_000;
  return Math.floor((clockUs / 1000 - keptMs) / hourMs) * hourMs;
}

/** Moves the horizon up to the clock, and lets go of what is behind it. */
export async function trim(tables: AggregateTransaction, pipeline: Pipeline, progress: Progress): Promise<void> {
  const { clock } = progress.clocks;
  const horizonMs = horizonAt(pipeline, clock);
  if (!(horizonMs > progress.horizonMs)) return;
  progress.horizonMs = horizonMs;
  await progress.flush(tables);
  await tables.trim(horizonMs, Math.floor(clock / 1000 - pipeline.settings.spoolKeepMs));
}
