import { BadInput } from './bad-input.ts';
import type { Pipeline, Text } from './pipeline.ts';
import type { Position } from './position.ts';
import { sqlIdentifier, sqlRelation } from './sql-names.ts';

/** What a backfill is asked for: the windows of some views, and the rows of some sinks, in a range of time, milliseconds since 1970. */
export type BackfillRequest = {
  readonly pipeline: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** None: only rows. */
  readonly views: readonly string[];
  /** Only by workers that have this definition; missing: by any. */
  readonly definitionHash?: string;
  /** Lanes of destinations whose rows of that time are written anew. */
  readonly sinks: readonly string[];
  /** About so many rows are read in one transaction of the source. */
  readonly chunkRows: number;
  /** At most so many a second are read; null: as fast as it goes. */
  readonly rowsPerSecond: number | null;
  /** Only says what it would do. */
  readonly dryRun?: boolean;
  /** Nobody has asked for it: it gives way to one that somebody asks for. */
  readonly yields?: true;
};

/** Named views and sinks only; everything if neither are named. */
export type BackfillChoice = {
  readonly fromMs: number;
  readonly toMs: number;
  readonly views?: readonly string[] | undefined;
  readonly sinks?: readonly string[] | undefined;
  readonly chunkRows?: number | undefined;
  readonly rowsPerSecond?: number | undefined;
};

/** Throws BadInput with what to ask for instead. */
export function backfillRequest(pipeline: Pipeline<Text>, { fromMs, toMs, views, sinks, chunkRows = 100_000, rowsPerSecond }: BackfillChoice, nowMs: number): BackfillRequest {
  const time = (ms: number) => new Date(ms).toISOString();
  if (fromMs >= toMs) throw new BadInput(`The range begins at ${time(fromMs)}, which is not before its end, ${time(toMs)}: there is nothing between them.`);
  if (toMs > nowMs) throw new BadInput(`The range ends at ${time(toMs)}, which has not come yet. A backfill computes what is past: ask for an earlier end.`);
  return {
    pipeline: pipeline.name,
    fromMs,
    toMs,
    views: chosen(pipeline.name, 'view', views, Object.keys(pipeline.views), sinks === undefined),
    sinks: chosen(pipeline.name, 'sink whose rows have versions', sinks, rowSinks(pipeline), views === undefined),
    chunkRows,
    rowsPerSecond: rowsPerSecond ?? null,
  };
}

function chosen(pipeline: string, what: string, given: readonly string[] | undefined, known: readonly string[], allByDefault: boolean): readonly string[] {
  const names = given ?? (allByDefault ? known : []);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new BadInput(`Pipeline ${pipeline} has no ${what} ${unknown.join(', ')}; it has ${known.join(', ') || 'none'}.`);
  return names;
}

export const backfillStates = ['running', 'paused', 'done', 'cancelled', 'failed'] as const;
export type BackfillState = (typeof backfillStates)[number];

/** How far one is. `doneToMs`: panes before it are done. */
export type BackfillProgress = { readonly phase: string; readonly fromMs: number; readonly toMs: number; readonly doneToMs: number; readonly rows: number };

/** What it says while it does so; `laneWaitedFor` finds the lane in it. */
export function waitsForLane(lane: string, goal = 'to pass the snapshot'): string {
  return `waiting for lane ${lane} ${goal}`;
}

export function laneWaitedFor(phase: string): string | undefined {
  return /^waiting for lane (\S+) to /.exec(phase)?.[1];
}

export function restsAtSpeed(rowsPerSecond: number): string {
  return `resting, to read no more than ${countText(rowsPerSecond)} rows a second`;
}

/** What `backfill list` and the query `progress` say. */
export type BackfillStatus = BackfillRequest & {
  readonly state: BackfillState;
  readonly plan: BackfillPlan | null;
  /** Of the steps that have ended; null: none has. */
  readonly progress: BackfillProgress | null;
  /** ISO time. */
  readonly started: string;
  /** Why it failed. */
  readonly error: string | null;
};

/** What it will do, before it does it. */
export type BackfillPlan = {
  readonly fromMs: number;
  readonly toMs: number;
  /** By view, how many windows have panes in the range. */
  readonly windows: Readonly<Record<string, number>>;
  /** As the source's planner expects. */
  readonly rows: number;
  readonly hasIndex: boolean;
  readonly sinks: readonly string[];
  readonly relation: string;
  readonly eventTime: string;
};

/** What a destination keeps of a load of rows: greater each time. */
export type LoadMark = { readonly backfill: string; readonly at: Position };

/** Those whose rows have versions. */
export function rowSinks({ sinks }: Pick<Pipeline<Text>, 'sinks'>): readonly string[] {
  return Object.entries(sinks).flatMap(([name, { kind }]) => (kind === 'clickhouse' ? [name] : []));
}

/** `2026-11-01..2026-11-02` of whole days, and else with times; UTC. */
export function rangeText(fromMs: number, toMs: number): string {
  const [from, to] = [textOf(fromMs), textOf(toMs)];
  return `${from}..${to}`;
}

export function backfillWorkflowId({ pipeline, fromMs, toMs, dryRun }: BackfillRequest): string {
  return `backfill/${pipeline}/${rangeText(fromMs, toMs)}${dryRun ? '/plan' : ''}`;
}

export function planText({ fromMs, toMs, windows, sinks, rows, hasIndex, relation, eventTime }: BackfillPlan): string {
  const views = [...Object.entries(windows).map(([view, count]) => `${countText(count)} windows of ${view}`), ...sinks.map((sink) => `the rows of ${sink}`)];
  const index = hasIndex ? [] : [`${relation} has no index that begins with ${eventTime}, so each chunk reads all of it. In the source: CREATE INDEX CONCURRENTLY ON ${sqlRelation(relation)} (${sqlIdentifier(eventTime)});`];
  return [`${rangeText(fromMs, toMs)} (UTC): ${views.join(', ')}; about ${countText(rows)} rows of ${relation} to read`, ...index].join('\n');
}

/** One line: how far; of one that runs also how fast, how long still, and what it does. */
export function progressText({ phase, fromMs, toMs, doneToMs, rows }: BackfillProgress, state: BackfillState, elapsedMs: number): string {
  const done = toMs === fromMs ? 1 : (doneToMs - fromMs) / (toMs - fromMs);
  const far = `${Math.floor(done * 100)} %, up to ${textOf(doneToMs)}; ${countText(rows)} rows read`;
  if (state !== 'running') return far;
  const left = done > 0.01 && done < 1 ? `, about ${Math.max(1, Math.round((elapsedMs * (1 - done)) / done / 1000))} s left` : '';
  return `${far}, ${countText((rows * 1000) / Math.max(1, elapsedMs))}/s${left}; ${phase}`;
}

function textOf(ms: number): string {
  const [day, time] = new Date(ms).toISOString().split('T') as [string, string];
  if (ms % 86_400_000 === 0) return day;
  return `${day}T${time.slice(0, ms % 60_000 === 0 ? 5 : 8)}`;
}

function countText(count: number): string {
  return Math.round(count).toLocaleString('en');
}
