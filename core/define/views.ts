import type { Expression, Typed } from '../expressions/expression.ts';
import type { Measure, Window } from '../pipeline.ts';
import { parseDuration } from './duration.ts';
import type { Duration } from './duration.ts';

/** A view before it is checked against its source: `measures` keeps its names, so that sinks are checked by the compiler. */
export type ViewDefinition<M extends string = string> = {
  readonly window: Window;
  readonly key: Expression;
  readonly where: Expression | undefined;
  readonly measures: { readonly [K in M]: Measure };
  readonly rankBy: string;
  readonly top: number;
  readonly labels: Readonly<Record<string, Expression>>;
};

export type EventColumn = Expression & { readonly op: 'column'; readonly table: 'events' };

/**
 * What every window takes. Either `score`, a measure of that name which ranks, with more `measures` beside it; or
 * `measures` alone with `rankBy`, the name of the one that ranks (not needed if there is only one).
 */
export type ViewOptions<M extends string, Score extends Measure | undefined> = {
  /** Whose numbers: a column of the event table, text, uuid, integer or boolean. */
  readonly key: EventColumn;
  /** Which events count; the others are as if they were not there. */
  readonly where?: Typed<'bool'>;
  readonly score?: Score;
  readonly measures?: { readonly [K in M]: Measure };
  readonly rankBy?: NoInfer<M>;
  readonly top: number;
  /** Dimension columns that a published result shows beside the key. */
  readonly labels?: Readonly<Record<string, Expression & { readonly op: 'column' }>>;
};

type Names<M extends string, Score> = [Score] extends [Measure] ? M | 'score' : M;

/** Windows that touch: each event is in one. */
export function tumbling<M extends string = never, Score extends Measure | undefined = undefined>(
  size: Duration,
  options: ViewOptions<M, Score>,
): ViewDefinition<Names<M, Score>> {
  const sizeMs = parseDuration(size, 'tumbling window');
  return view({ kind: 'tumbling', sizeMs, everyMs: sizeMs }, options);
}

/** Windows that overlap: one of `size` begins each `every`. */
export function hopping<M extends string = never, Score extends Measure | undefined = undefined>(
  size: Duration,
  options: ViewOptions<M, Score> & { readonly every: Duration },
): ViewDefinition<Names<M, Score>> {
  return view(
    { kind: 'hopping', sizeMs: parseDuration(size, 'hopping window'), everyMs: parseDuration(options.every, 'every') },
    options,
  );
}

/** The last `size` of event time, always current, which moves on by panes. */
export function rolling<M extends string = never, Score extends Measure | undefined = undefined>(
  size: Duration,
  options: ViewOptions<M, Score> & { readonly pane: Duration },
): ViewDefinition<Names<M, Score>> {
  return view(
    { kind: 'rolling', sizeMs: parseDuration(size, 'rolling window'), everyMs: parseDuration(options.pane, 'pane') },
    options,
  );
}

function view<M extends string, Score extends Measure | undefined>(
  window: Window,
  options: ViewOptions<M, Score>,
): ViewDefinition<Names<M, Score>> {
  const { key, where, score, top, labels = {} } = options;
  const measures: Record<string, Measure> = { ...(score && { score }), ...options.measures };
  if (score && options.measures && 'score' in options.measures)
    throw new TypeError('a view has two measures named score: leave one out');
  const names = Object.keys(measures);
  const rankBy = options.rankBy ?? (score || names.length === 1 ? names[0] : undefined);
  if (rankBy === undefined)
    throw new TypeError('which measure ranks? Give the view a score, or rankBy with the name of a measure');
  return {
    window,
    key,
    where,
    measures: measures as { readonly [K in Names<M, Score>]: Measure },
    rankBy,
    top,
    labels,
  };
}
