/** What the API sends; described in full by its /openapi.json. */
export type PipelineStatus = {
  readonly name: string;
  readonly state: string;
  /** Why it is parked or unreachable. */
  readonly reason: string | null;
  readonly capture: Lane | null;
  readonly eventsPerSecond: number;
  /** ISO time. */
  readonly watermark: string | null;
  readonly openWindows: readonly { readonly view: string; readonly count: number; readonly nextEnd: string }[];
  readonly lanes: readonly Lane[];
  readonly slot: { readonly alarm: 'none' | 'warning' | 'critical' | 'lost'; readonly sentence: string } | null;
  /** What the last comparison of closed windows with the source found. */
  readonly reconciled: { readonly state: string; readonly ended: string; readonly sentence: string; readonly workflowUrl: string | null } | null;
  readonly workflowUrl: string | null;
};

export type Lane = {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly lagMs: number | null;
  readonly fence: string | null;
  /** Events that its destination refused, and that wait. */
  readonly deadLetters: number;
  readonly error: string | null;
};

export type Board = {
  readonly name: string;
  readonly view: string;
  readonly window: {
    readonly kind: 'tumbling' | 'hopping' | 'rolling';
    readonly sizeMs: number;
    readonly everyMs: number;
  };
  readonly measure: string;
  readonly start: string | null;
  readonly end: string | null;
  readonly revision: number | null;
  readonly final: boolean | null;
  readonly rows: readonly BoardRow[];
  readonly problem: string | null;
};
export type BoardRow = {
  readonly rank: number;
  readonly key: string;
  readonly label: string | null;
  readonly value: string;
};
export type Results = { readonly boards: readonly Board[] };

/** Windows, and rows, of a range of time that are computed anew from the source. Times are ISO. */
export type Backfill = {
  readonly workflowId: string;
  readonly workflowUrl: string | null;
  /** What the paths to pause, resume and cancel it name; in UTC. */
  readonly range: string;
  readonly state: 'running' | 'paused' | 'done' | 'cancelled' | 'failed';
  readonly views: readonly string[];
  readonly sinks: readonly string[];
  readonly from: string;
  readonly to: string;
  /** Everything before it is done. */
  readonly doneTo: string | null;
  readonly rows: number;
  readonly phase: string | null;
  readonly started: string;
  readonly error: string | null;
};

/** A change of the columns of a pipeline's source, and what becomes of it. */
export type Migration = {
  readonly number: number;
  readonly state: string;
  readonly changes: readonly string[];
  /** What either decision means; null when it is over. */
  readonly text: string | null;
  readonly error: string | null;
  readonly workflowUrl: string | null;
};

export type BackfillChoice = {
  readonly from: string;
  readonly to: string;
  /** Only these, and no rows; without it everything. */
  readonly views?: readonly string[];
};
