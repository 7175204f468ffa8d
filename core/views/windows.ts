import type { LastingDefinition } from '../define/definition-hash.ts';
import type { Pipeline, View } from '../pipeline.ts';
import type { Bounds } from './watermark.ts';

/** Whether a view's windows are published when they close. A rolling one is current all the time instead, unless it is relayed. */
export function isPublished(pipeline: Pick<Pipeline, 'views'> & Pick<LastingDefinition, 'sinks'>, view: string): boolean {
  const relayed = Object.values(pipeline.sinks).some((sink) => (sink.kind === 'postgres-results' || sink.kind === 'redis-results') && sink.view === view);
  return relayed || pipeline.views[view]!.window.kind !== 'rolling';
}

/** Window ends in (after, upTo]: all multiples of the pane length, or more of them than are worth listing. */
export function endsBetween(after: number, upTo: number, paneMs: number): readonly number[] | 'many' {
  const count = (upTo - after) / paneMs;
  if (!(count <= 100)) return 'many';
  return Array.from({ length: Math.max(0, count) }, (_, index) => after + (index + 1) * paneMs);
}

/** The ends, at or below `upTo`, of the windows that one of the panes is in. */
export function endsOver(panes: Iterable<number>, { sizeMs, everyMs }: View['window'], upTo: number): readonly number[] {
  const ends = new Set<number>();
  for (const pane of panes) for (let end = pane + everyMs; end <= pane + sizeMs && end <= upTo; end += everyMs) ends.add(end);
  return [...ends];
}

/** What was last said of a window. `digest` stands for its ranks, keys and sums; '' for an empty result. */
export type Published = { readonly revision: number; readonly final: boolean; readonly digest: string };

/** What to say of a window now, at a crossing; undefined: nothing. */
export function revise(endMs: number, before: Published | undefined, digest: string, bounds: Bounds): Published | undefined {
  return before?.final ? undefined : reviseRebuilt(endMs, before, digest, bounds);
}

/** The same when its panes were computed anew: that concerns final windows too. */
export function reviseRebuilt(endMs: number, before: Published | undefined, digest: string, bounds: Bounds): Published | undefined {
  const final = endMs <= bounds.closedBeforeMs;
  if (!before) return digest === '' ? undefined : { revision: 0, final, digest };
  if (before.digest === digest && before.final === final) return undefined;
  return { revision: before.digest === digest ? before.revision : before.revision + 1, final, digest };
}

/** The same where a destination shows something else than was said. */
export function reviseAgain(endMs: number, before: Published | undefined, digest: string, bounds: Bounds): Published {
  return { revision: before ? before.revision + 1 : 0, final: endMs <= bounds.closedBeforeMs, digest };
}
