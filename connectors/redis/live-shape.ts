import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import { memberWord } from '../../core/redis-keys.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import type { PaneDeltas, PaneSet, PaneView } from '../../core/views/panes.ts';
import type { LiveMeasure, LiveShape } from './live-structure.ts';

export type LiveDefinition = Extract<SinkDefinition, { kind: 'redis-live' }>;

/** A lane that is held or paused for so long writes nothing, and whoever reads the structure, or compares it, finds all of it still. */
const standsMs = 3_600_000;

/** How a view's panes become a live structure. `accumulators`: the places in the pane set of those that it needs. */
export type LivePlan = { readonly set: PaneSet; readonly accumulators: readonly number[]; readonly shape: LiveShape };

export function livePlan(pipeline: Pipeline, definition: LiveDefinition): LivePlan {
  const sets = paneSetsOf(pipeline);
  const set = sets.find(({ views }) => views.some(({ name }) => name === definition.view));
  const view = set?.views.find(({ name }) => name === definition.view);
  if (!set || !view) throw new TypeError(`pipeline ${pipeline.name} has no view ${definition.view}`);
  const names = [view.rankBy, ...Object.values(definition.hash)];
  const accumulators = [...new Set(names.flatMap((name) => view.measures[name]!.accumulators))];
  const { sizeMs } = view.window;
  return {
    set,
    accumulators,
    shape: {
      accumulators: accumulators.length,
      sizeMs,
      paneMs: set.paneMs,
      score: liveMeasure(view, view.rankBy, accumulators),
      hash: Object.entries(definition.hash).map(([field, name]) => ({ field, ...liveMeasure(view, name, accumulators) })),
      memberWord: memberWord(set.key),
      // A member is written when its numbers change, at the latest when its last pane is over: then it is deleted.
      memberTtlMs: Math.ceil(sizeMs * 1.5) + standsMs,
    },
  };
}

/** The deltas with only the accumulators of the plan. */
export function chosen({ panes, keys, values }: PaneDeltas, { accumulators }: LivePlan): Pick<PaneDeltas, 'panes' | 'keys' | 'values'> {
  return { panes, keys, values: accumulators.map((place) => values[place]!) };
}

function liveMeasure(view: PaneView, name: string, chosenPlaces: readonly number[]): LiveMeasure {
  const { measure, accumulators } = view.measures[name]!;
  const place = (index: number) => chosenPlaces.indexOf(accumulators[index]!) + 1;
  switch (measure.kind) {
    case 'count':
      return { kind: 'exact', of: place(0), scale: 0 };
    case 'sum':
      return { kind: 'exact', of: place(0), scale: measure.scale };
    case 'avg':
      return { kind: 'quotient', of: place(0), factor: 1, by: place(1), scale: measure.scale };
    case 'rate':
      return { kind: 'quotient', of: place(0), factor: 1000, divisor: view.window.sizeMs, scale: 0 };
    case 'min':
    case 'max':
      throw new TypeError(`${name} of ${view.name} is a ${measure.kind}, which no live structure can keep (E15)`);
    case 'quantile':
    case 'distinct':
      throw new TypeError(`${name} of ${view.name} is a ${measure.kind}, and panes that are divided by buckets make no live structure (decision 22)`);
  }
}
