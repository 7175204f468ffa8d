import { lanesOf } from '../../../core/define/lanes.ts';
import type { Pipeline } from '../../../core/pipeline.ts';
import type { Queryable } from '../state/state.ts';
import type { PaneStore } from './pane-store.ts';
import type { Progress } from './progress.ts';

/** Panes before this need not be kept at a clock: whole hours, and never what a window can still change. */
export function horizonAt(pipeline: Pipeline, clockUs: number): number {
  const { paneRetentionMs, watermarkDelayMs, allowedLatenessMs } = pipeline.settings;
  const longest = Math.max(0, ...Object.values(pipeline.views).map(({ window }) => window.sizeMs));
  const keptMs = Math.max(paneRetentionMs, watermarkDelayMs + allowedLatenessMs + 2 * longest);
  const hourMs = 3_600_000;
  return Math.floor((clockUs / 1000 - keptMs) / hourMs) * hourMs;
}

/** Moves the horizon up to the clock, and lets go of what is behind it. */
export async function trim(client: Queryable, pipeline: Pipeline, stores: readonly PaneStore[], progress: Progress): Promise<void> {
  const horizonMs = horizonAt(pipeline, progress.clocks.clock);
  if (!(horizonMs > progress.horizonMs)) return;
  progress.horizonMs = horizonMs;
  await progress.flush(client);
  for (const store of stores) await store.trim(client, horizonMs);
  await client.query('delete from sluice.published_window where pipeline = $1 and final and window_end_ms <= $2', [pipeline.name, horizonMs]);
  await trimOutbox(client, pipeline, progress.clocks.clock / 1000 - pipeline.settings.spoolKeepMs);
}

/** Messages that every relay has, of windows before `keepFromMs`, except each view's newest: a relay that lost its state begins with that. */
async function trimOutbox(client: Queryable, pipeline: Pipeline, keepFromMs: number): Promise<void> {
  const relays = lanesOf(pipeline).filter(({ reads }) => reads === 'outbox');
  await client.query(
    `delete from sluice.outbox message where pipeline = $1
       and seq <= (select case when count(*) = cardinality($2::text[]) then coalesce(min(seq), 9223372036854775807) else 0 end from sluice.relay_fence where pipeline = $1 and lane = any($2))
       and coalesce((message ->> 'windowEndMs')::bigint, 0) < $3
       and exists (select from sluice.outbox newer where newer.pipeline = $1 and newer.view = message.view and newer.seq > message.seq)`,
    [pipeline.name, relays.map(({ name }) => name), Math.floor(keepFromMs)],
  );
}
