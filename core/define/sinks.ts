import type { OnBudget, SinkDefinition, Text } from '../pipeline.ts';
import { parseDuration } from './duration.ts';
import type { Duration } from './duration.ts';
import type { ViewDefinition } from './views.ts';

/** A text that differs from place to place: taken from the environment when the pipeline is resolved. */
export function env(variable: string, byDefault?: string): Text {
  return byDefault === undefined ? { env: variable } : { env: variable, byDefault };
}

type Gathering = {
  /** The shortest time from one write's beginning to the next's: larger writes cost less, and come later. */
  readonly gather?: Duration | '0ms';
  /**
   * When the spool has kept all that it may for a destination that does not get on. hold, the default: the stream waits for it, and the source keeps
   * the rest. detach: nothing is kept for it any more, the stream goes on, and `./sluice apply` fills it from the source and joins it again.
   */
  readonly onBudget?: OnBudget;
};

/** Every enriched row, versioned by position. Sorted by `orderBy`, a partition for each day of `partitionBy`. */
export function clickhouse<const C extends string>(
  options: Gathering & { readonly table: string; readonly orderBy: readonly C[]; readonly partitionBy: C },
) {
  const { table, orderBy, partitionBy } = options;
  return { kind: 'clickhouse', table, orderBy, partitionBy, gatherMs: gatherMs(options, 250), ...onBudget(options) } as const;
}

/** A rolling view as a sorted set that is always current, and the measures in `hash` as one hash a key of the view. */
export function redis<const V extends string, const M extends string = never>(
  options: Gathering & { readonly view: V; readonly key: Text; readonly hash?: readonly M[] },
) {
  const { view, key } = options;
  // NoInfer: without a hash, M is never, and not what the place of the sink would allow.
  const hash: Readonly<Record<string, NoInfer<M>>> = Object.fromEntries(
    (options.hash ?? []).map((measure) => [measure, measure]),
  );
  return { kind: 'redis-live', view, key, hash, gatherMs: gatherMs(options, 0), ...onBudget(options) } as const;
}

/**
 * Every enriched row, posted in signed batches of at most `maxRows`. `initialLoad`: rows that were there before the
 * pipeline are posted too. `inFlight`: how many batches may be on their way at once; 1 keeps them in order.
 */
export function http(
  options: Gathering & {
    readonly url: Text;
    readonly secret: Text;
    readonly initialLoad?: boolean;
    readonly maxRows?: number;
    readonly inFlight?: number;
  },
) {
  const { url, secret, initialLoad = false, maxRows = 5_000, inFlight = 1 } = options;
  return { kind: 'http', url, secret, initialLoad, maxRows, inFlight, gatherMs: gatherMs(options, 250), ...onBudget(options) } as const;
}

/** A view's published windows as rows of a Postgres table in the state database. */
export function results<const V extends string>(options: { readonly view: V; readonly table: string }) {
  return { kind: 'postgres-results', ...options } as const;
}

/** A view's newest published window as a sorted set. */
export function redisResults<const V extends string>(options: { readonly view: V; readonly key: Text }) {
  return { kind: 'redis-results', ...options } as const;
}

/** What a sink may say, given the columns of the event table and the views: the compiler's half of the checks. */
export type FittingSink<EventColumn extends string, V extends Readonly<Record<string, ViewDefinition>>> =
  | (Of<'clickhouse'> & { readonly orderBy: readonly EventColumn[]; readonly partitionBy: EventColumn })
  | {
      readonly [N in keyof V & string]: Of<'redis-live'> & {
        readonly view: N;
        readonly hash: Readonly<Record<string, keyof V[N]['measures'] & string>>;
      };
    }[keyof V & string]
  | Of<'http'>
  | ((Of<'postgres-results'> | Of<'redis-results'>) & { readonly view: keyof V & string });

type Of<Kind extends SinkDefinition['kind']> = Extract<SinkDefinition<Text>, { readonly kind: Kind }>;

function onBudget({ onBudget: what }: Gathering): { readonly onBudget?: OnBudget } {
  return what === undefined ? {} : { onBudget: what };
}

function gatherMs(options: Gathering, byDefault: number): number {
  if (options.gather === undefined) return byDefault;
  return options.gather === '0ms' ? 0 : parseDuration(options.gather, 'gather');
}
