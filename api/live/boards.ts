import { resolve } from '../../core/define/resolve.ts';
import type { Environment } from '../../core/config.ts';
import type { Pipeline, SinkDefinition, Text, Window } from '../../core/pipeline.ts';

/** A ranking that can be shown live: where it is kept, and how its keys get their names. */
export type BoardPlace = {
  /** The sink's name. */
  readonly name: string;
  readonly kind: 'redis-live' | 'redis-results' | 'postgres-results';
  /** Redis key, or table. */
  readonly at: string;
  readonly view: string;
  readonly window: Window;
  readonly key: string;
  /** The measure that ranks. */
  readonly measure: string;
  readonly top: number;
  /** Which of the view's own labels names a key. */
  readonly labelName: string | undefined;
  /** Where a key's name is looked up, if results bring none. */
  readonly label: { readonly dimension: string; readonly column: string } | undefined;
};

/** What a pipeline has to show: always current rankings first. A view that several sinks publish is shown once. */
export function boardsOf(pipeline: Pipeline<Text>, environment: Environment): readonly BoardPlace[] {
  const shown = Object.entries(pipeline.sinks).filter(([, { kind }]) => kind in preference);
  const resolved = resolve({ ...pipeline, sinks: Object.fromEntries(shown) }, environment);
  const places = Object.entries(resolved.sinks).flatMap(([name, sink]) => placeOf(resolved, name, sink));
  places.sort((a, b) => preference[a.kind] - preference[b.kind]);
  return places.filter(({ view }, index) => places.findIndex((each) => each.view === view) === index);
}

const preference: Readonly<Record<BoardPlace['kind'] | (string & {}), number>> = {
  'redis-live': 0,
  'redis-results': 1,
  'postgres-results': 2,
};

function placeOf(pipeline: Pipeline, name: string, sink: SinkDefinition): BoardPlace[] {
  switch (sink.kind) {
    case 'redis-live':
    case 'redis-results':
    case 'postgres-results': {
      const { window, key, rank, labels } = pipeline.views[sink.view]!;
      const at = sink.kind === 'postgres-results' ? sink.table : sink.key;
      const [labelName] = Object.keys(labels);
      return [
        {
          name,
          kind: sink.kind,
          at,
          view: sink.view,
          window,
          key,
          measure: rank.by,
          top: rank.top,
          labelName,
          label: labelOf(pipeline, sink.view),
        },
      ];
    }
    case 'clickhouse':
    case 'http':
      return [];
  }
}

/** The view's own label, else the first text of the dimension that the key refers to. */
function labelOf({ views, source }: Pipeline, name: string): BoardPlace['label'] {
  const view = views[name]!;
  const [own] = Object.values(view.labels);
  if (own) return own;
  for (const [dimension, { on, key, columns }] of Object.entries(source.dimensions)) {
    const text = Object.entries(columns).find(([column, { type }]) => column !== key && type === 'text');
    if (on === view.key && text) return { dimension, column: text[0] };
  }
  return undefined;
}
