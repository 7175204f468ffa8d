import type { ColumnType } from './columns/vector.ts';
import type { Expression } from './expressions/expression.ts';
import type { KeptPaneSet } from './views/panes.ts';

/**
 * A pipeline as `resolve` returns it: plain data, checked, defaults filled in, addresses known. Times in milliseconds.
 * `definePipeline` returns a Pipeline<Text>, in which addresses may still be placeholders for environment variables.
 */
export type Pipeline<Address = string> = {
  readonly name: string;
  readonly source: { readonly events: EventTable; readonly dimensions: Readonly<Record<string, DimensionTable>> };
  /** The columns of an enriched row, in order, beginning with those of the event table. Row sinks get these. */
  readonly row: Readonly<Record<string, Expression>>;
  readonly views: Readonly<Record<string, View>>;
  /** The panes that a running pipeline has, where it was changed in place; missing: as its views alone say (paneSetsOf). */
  readonly paneSets?: readonly KeptPaneSet[];
  readonly sinks: Readonly<Record<string, SinkDefinition<Address>>>;
  readonly settings: Settings;
};

export type ColumnSchema = {
  readonly type: ColumnType;
  readonly nullable: boolean;
  /** Few distinct values are expected: kept as a dictionary (COLUMNS.md, interning). */
  readonly interned: boolean;
  /** Its name in the source, where a migration found another one; null: the source has it no more, and it is always NULL. */
  readonly from?: string | null;
};

export type Table = {
  /** Schema-qualified name in the source: `public.engagement_events`. */
  readonly relation: string;
  readonly columns: Readonly<Record<string, ColumnSchema>>;
  readonly key: string;
};
export type EventTable = Table & { readonly eventTime: string; readonly appendOnly: boolean };
/** The name of a declared column in the source; undefined: the source has it no more. */
export function nameInSource({ columns }: Pick<Table, 'columns'>, column: string): string | undefined {
  const { from = column } = columns[column]!;
  return from ?? undefined;
}

/** `on` is the event table's column that holds the dimension's key. */
export type DimensionTable = Table & { readonly on: string };

export type Window =
  | { readonly kind: 'tumbling'; readonly sizeMs: number; readonly everyMs: number }
  | { readonly kind: 'hopping'; readonly sizeMs: number; readonly everyMs: number }
  | { readonly kind: 'rolling'; readonly sizeMs: number; readonly everyMs: number };

/**
 * A named windowed aggregation. Panes are `everyMs` long (`window.everyMs`) and begin at multiples of it since 1970;
 * a window is `sizeMs / everyMs` panes.
 */
export type View = {
  readonly window: Window;
  /** A column of the event table. Rows whose key or event time is NULL or infinite are not counted. */
  readonly key: string;
  readonly where: Expression | undefined;
  readonly measures: Readonly<Record<string, Measure>>;
  /** Which measure ranks, and how many ranks a result has. Ties: greater score first, then the key's text ascending. */
  readonly rank: { readonly by: string; readonly top: number };
  /** Dimension columns joined when results are published: result column -> dimension column. */
  readonly labels: Readonly<Record<string, { readonly dimension: string; readonly column: string }>>;
};

/**
 * Kept in panes as scaled integers: `sum` holds the sum of round(value * 10^scale). count has scale 0; avg is a sum and
 * a count; rate is a count divided by the window's seconds; min and max are the least and the greatest round(value * 10^scale).
 * quantile and distinct are made of counts by bucket (core/views/buckets.ts). NULL inputs count nothing.
 */
export type Measure =
  | { readonly kind: 'count' }
  | { readonly kind: 'sum'; readonly of: Expression; readonly scale: number }
  | { readonly kind: 'avg'; readonly of: Expression; readonly scale: number }
  | { readonly kind: 'min' | 'max'; readonly of: Expression; readonly scale: number }
  | { readonly kind: 'rate' }
  /** `q`: from 0 to 1. */
  | { readonly kind: 'quantile'; readonly of: Expression; readonly scale: number; readonly q: number }
  /** `of`: a column of the event table. */
  | { readonly kind: 'distinct'; readonly of: Expression };

/** An address as written in a definition: the text, or the environment variable that holds it. */
export type Text = string | { readonly env: string; readonly byDefault?: string };

/** What becomes of a lane for which the spool has kept all that it may (E20). hold: everything waits for it. detach: nothing is kept for it any more. Missing: hold. */
export type OnBudget = 'hold' | 'detach';

export type SinkDefinition<Address = string> =
  | { readonly kind: 'clickhouse'; readonly table: string; readonly orderBy: readonly string[]; readonly partitionBy: string; readonly gatherMs: number; readonly onBudget?: OnBudget }
  | {
      readonly kind: 'redis-live';
      readonly view: string;
      readonly key: Address;
      /** Fields of the per-key hash -> measures of the view; none: no hashes. */
      readonly hash: Readonly<Record<string, string>>;
      readonly gatherMs: number;
      readonly onBudget?: OnBudget;
    }
  | { readonly kind: 'http'; readonly url: Address; readonly secret: Address; readonly initialLoad: boolean; readonly maxRows: number; readonly inFlight: number; readonly gatherMs: number; readonly onBudget?: OnBudget }
  /** Relays read the outbox that the aggregate lane writes, not the segments. */
  | { readonly kind: 'postgres-results'; readonly view: string; readonly table: string }
  | { readonly kind: 'redis-results'; readonly view: string; readonly key: Address };

export type Settings = {
  readonly watermarkDelayMs: number;
  readonly allowedLatenessMs: number;
  readonly maxFutureMs: number;
  readonly maxSlotLagBytes: number;
  readonly spoolKeepMs: number;
  readonly spoolBudgetBytes: number;
  readonly segmentRows: number;
  readonly segmentBytes: number;
  readonly lingerMs: number;
  readonly canaryMs: number;
  readonly stepMs: number;
  /** Undefined: the instance's, SLUICE_HEARTBEAT. */
  readonly heartbeatMs: number | undefined;
  readonly paneRetentionMs: number;
  /**
   * Windows that late changes have made stale, or that have lost their min or max, are computed anew so long after (E14, E15).
   * 0: never; the late output keeps what they lack, and a min or max that was taken out stays.
   */
  readonly repairAfterMs: number;
  /** So often what has closed is compared with the source, without holding anything. 0: never by itself. */
  readonly reconcileEveryMs: number;
  /** So many events of a segment may be refused for their content, and this part of them, whichever is more; then the lane parks. */
  readonly deadLetterRows: number;
  readonly deadLetterPercent: number;
  /** So many dead letters of a pipeline may wait; then the lane that finds another parks. */
  readonly deadLettersKept: number;
};

export const defaultSettings: Settings = {
  watermarkDelayMs: 2_000,
  allowedLatenessMs: 60_000,
  maxFutureMs: 60_000,
  maxSlotLagBytes: 1 << 30,
  spoolKeepMs: 3_600_000,
  spoolBudgetBytes: 4 * 2 ** 30,
  segmentRows: 50_000,
  segmentBytes: 8 << 20,
  lingerMs: 50,
  canaryMs: 2_000,
  stepMs: 10_000,
  heartbeatMs: undefined,
  paneRetentionMs: 7 * 86_400_000,
  repairAfterMs: 300_000,
  reconcileEveryMs: 3_600_000,
  deadLetterRows: 10,
  deadLetterPercent: 1,
  deadLettersKept: 10_000,
};
