import { Context } from '@temporalio/activity';
import { AggregateSink } from '../connectors/aggregate/aggregate-sink.ts';
import { PostgresAggregateTables } from '../connectors/postgres/aggregate/aggregate-tables.ts';
import { hasTimeIndex } from '../connectors/postgres/backfill-estimate.ts';
import { noteRebuilds } from '../connectors/postgres/live-rebuilds.ts';
import { readIncomplete } from '../connectors/postgres/redefinitions.ts';
import { readChange, readOpenChange } from '../connectors/postgres/schema-changes.ts';
import { readShard } from '../connectors/postgres/shard-state.ts';
import { readAggregate } from '../connectors/postgres/state/state.ts';
import { withSource } from '../connectors/postgres/with-source.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { NotComparable } from '../connectors/verification/not-comparable.ts';
import { readAggregateNow } from '../connectors/verification/windows.ts';
import { BadInput } from '../core/bad-input.ts';
import { pause } from '../core/clock.ts';
import { lanesOf } from '../core/define/lanes.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { againRanges, dueRanges, rangeLengthMs, type Due, type DueRanges, type ReconcileRequest, type Repairs } from '../core/reconcile.ts';
import { complete } from '../core/redefine.ts';
import { reconcileSummary, type ReconcileReport } from '../core/reconcile-report.ts';
import type { PaneRange } from '../core/views/fold.ts';
import { paneSetsOf } from '../core/views/pane-sets.ts';
import { isOpen } from '../core/views/rebuilding.ts';
import { boundsAt } from '../core/views/watermark.ts';
import { endMarksOfTheDead, markName } from './dead-marks.ts';
import { beating, endingWhenAsked } from './beating.ts';
import { openRelay, openSink } from './open-destination.ts';
import { runReconcile, type Reconciled } from './reconcile-loop.ts';
import type { Runtime } from './runtime.ts';

/** What the reconcile workflow sees. */
export type ReconcileActivities = {
  planReconcile(input: { readonly request: ReconcileRequest; readonly last?: Due }): Promise<ReconcilePlan>;
  /** One step: until everything is compared, its time is over, or it is asked to end. */
  reconcile(input: ReconcileStepInput): Promise<Reconciled>;
  /** Says and makes anew what no backfill does, and waits until it is there. */
  mendWindows(input: { readonly pipeline: string; readonly repairs: Pick<Repairs, 'say' | 'live'>; readonly differing: readonly PaneRange[] }): Promise<Mended>;
  endReconcile(input: { readonly report: ReconcileReport }): Promise<void>;
};

export type ReconcilePlan = {
  readonly ranges: readonly PaneRange[];
  /** Of a run that nobody asked for. */
  readonly due: DueRanges | null;
  /** What shows only the present is within the ranges. */
  readonly withNow: boolean;
};

export type ReconcileStepInput = { readonly pipeline: string; readonly from: Reconciled; readonly rowsPerSecond: number | null; readonly durationMs: number };

/** `again`: what is to be compared now. */
export type Mended = { readonly again: readonly PaneRange[]; readonly failed: readonly string[] };

type ReconcileRuntime = Pick<Runtime, 'config' | 'state' | 'definition'>;

export function planReconcile(runtime: ReconcileRuntime, { request, last }: { readonly request: ReconcileRequest; readonly last?: Due }): Promise<ReconcilePlan> {
  return beating(async () => {
    const { config } = runtime;
    const { pipeline } = await runtime.definition(request.pipeline);
    await assertComparable(runtime, pipeline.name, Context.current().cancellationSignal);
    const panes = await openPanes(runtime, pipeline);
    await endMarksOfTheDead(Context.current().client, panes, ownName());
    const { closedMs, horizonMs } = await closedTime(runtime, pipeline);
    const showsFromMs = closedMs - Math.max(0, ...Object.values(pipeline.views).map(({ window }) => window.sizeMs));
    if (request.range) {
      const range = await panes.checkCompared(wholeRange(pipeline, request.range));
      if (range.toMs > closedMs) throw new BadInput(`The range ends at ${time(range.toMs)}, and ${pipeline.name} has come to ${time(closedMs)}: only what is before that is compared. Ask for an earlier end.`);
      return { ranges: [range], due: null, withNow: range.toMs > showsFromMs };
    }
    if (!Number.isFinite(closedMs)) return { ranges: [], due: null, withNow: false };
    const isCheap = await withSource(config.sourceUrl, `sluice ${pipeline.name} reconcile`, (source) => hasTimeIndex(source, pipeline.source.events));
    const due = dueRanges({ closedMs, horizonMs, everyMs: request.everyMs, lengthMs: rangeLengthMs(pipeline), isCheap }, last);
    return { ranges: [due.fresh, due.older].filter(isOpen), due, withNow: true };
  });
}

export function reconcile(runtime: ReconcileRuntime, { pipeline: name, from, rowsPerSecond, durationMs }: ReconcileStepInput): Promise<Reconciled> {
  // of an attempt whose worker was killed
  let told = { progress: from, phase: 'beginning', ...(Context.current().info.heartbeatDetails as { progress: Reconciled } | undefined) };
  const work = async (signal: AbortSignal) => {
    const { pipeline } = await runtime.definition(name);
    // what is being filled since the definition has changed is not compared
    const compared = complete(pipeline, await readIncomplete(runtime.state, name));
    try {
      return await runReconcile({
        pipeline: compared,
        addresses: runtime.config,
        panes: await openPanes(runtime, pipeline),
        name: ownName(),
        from: told.progress,
        chunkRows,
        rowsPerSecond: rowsPerSecond ?? undefined,
        durationMs,
        clock: systemClock,
        signal,
        onProgress: (progress, phase) => (told = { progress, phase }),
      });
    } catch (error) {
      // whatever fails beside it: the workflow knows whether another step follows
      if (signal.aborted) return told.progress;
      throw error;
    }
  };
  return beating(() => endingWhenAsked(() => 'asked', work), () => told);
}

export function mendWindows(runtime: ReconcileRuntime, { pipeline: name, repairs: { say, live }, differing }: { readonly pipeline: string; readonly repairs: Pick<Repairs, 'say' | 'live'>; readonly differing: readonly PaneRange[] }): Promise<Mended> {
  const { cancellationSignal } = Context.current();
  return beating(async () => {
    const { config, state } = runtime;
    const { pipeline } = await runtime.definition(name);
    const panes = await openPanes(runtime, pipeline);
    for (const { view, ranges } of say) await sayAgain(panes, pipeline, view, ranges, cancellationSignal);
    if (live.length > 0) await noteRebuilds(state, pipeline, live);
    for (const lane of live) {
      const { sink, replay } = await openSink(config, state, pipeline, lane);
      try {
        if (replay.kind === 'rebuild') await replay.rebuild();
      } finally {
        await sink.close();
      }
    }
    const failed = await untilRelayed(runtime, pipeline, cancellationSignal);
    const { closedMs } = await closedTime(runtime, pipeline);
    return { again: againRanges(pipeline, differing, closedMs), failed };
  });
}

export function endReconcile(runtime: ReconcileRuntime, { report }: { readonly report: ReconcileReport }): Promise<void> {
  return beating(async () => {
    const { pipeline } = await runtime.definition(report.pipeline);
    // one that was destroyed must get no tables, and no row
    if (!(await readShard(runtime.state, pipeline.name))) return;
    await (await openPanes(runtime, pipeline)).endCompared(ownName());
    const summary = reconcileSummary(report, Context.current().info.workflowExecution!.workflowId);
    await runtime.state.query(
      `insert into sluice.progress (pipeline, part, detail) values ($1, 'reconcile', $2)
       on conflict (pipeline, part) do update set detail = excluded.detail, reported_at = now()`,
      [pipeline.name, JSON.stringify({ reconcile: summary })],
    );
  });
}

/** Looks whether it is loaded and its stream goes on, before anything is opened, which would make its tables. Waits a little for a migration that nobody has to decide. Throws NotComparable. */
export async function assertComparable({ state }: Pick<Runtime, 'state'>, pipeline: string, signal: AbortSignal): Promise<void> {
  const shard = await readShard(state, pipeline);
  if (shard?.state !== 'streaming') throw new NotComparable(`Pipeline ${pipeline} is not loaded. See ./sluice status, and compare it when it runs.`);
  // its stream stands, and what is read of the source may have other names
  for (const sinceMs = systemClock.steady(); ; await pause(systemClock, lookMs, signal)) {
    signal.throwIfAborted();
    const number = await readOpenChange(state, pipeline, shard.epoch);
    if (number === undefined) return;
    const isAsked = (await readChange(state, pipeline, number))?.state === 'waiting';
    if (isAsked || systemClock.steady() - sinceMs > migrationMs) throw new NotComparable(`Migration ${number} of its source's columns ${isAsked ? 'waits for a decision' : 'is not over'}. Compare it after that: ./sluice migrations ${pipeline}`);
  }
}

export async function openPanes({ state }: ReconcileRuntime, pipeline: Pipeline): Promise<AggregateSink> {
  return new AggregateSink(await PostgresAggregateTables.open(state, pipeline), pipeline);
}

/** Everything that ends by `closedMs` has closed; before `horizonMs` nothing is kept. */
async function closedTime({ state }: ReconcileRuntime, pipeline: Pipeline): Promise<{ readonly closedMs: number; readonly horizonMs: number }> {
  const aggregate = await readAggregateNow(state, pipeline.name);
  const lengths = paneSetsOf(pipeline).map(({ paneMs }) => paneMs);
  const closed = (lengths.length === 0 ? [rangeLengthMs(pipeline)] : lengths).map((paneMs) => boundsAt(aggregate, paneMs, pipeline.settings).closesUpToMs);
  return { closedMs: Math.min(...closed), horizonMs: aggregate.horizonMs };
}

function wholeRange(pipeline: Pipeline, { fromMs, toMs }: PaneRange): PaneRange {
  const lengthMs = rangeLengthMs(pipeline);
  return { fromMs: Math.floor(fromMs / lengthMs) * lengthMs, toMs: Math.ceil(toMs / lengthMs) * lengthMs };
}

/** A transaction of the aggregate lane at a time, which that waits for. */
async function sayAgain(panes: AggregateSink, { views }: Pipeline, view: string, ranges: readonly PaneRange[], signal: AbortSignal): Promise<void> {
  const { everyMs } = views[view]!.window;
  const ends = ranges.flatMap(({ fromMs, toMs }) => Array.from({ length: Math.round((toMs - fromMs) / everyMs) }, (_, index) => fromMs + (index + 1) * everyMs));
  for (let start = 0; start < ends.length; start += windowsAtOnce) {
    // while lanes are held to be compared, nothing that is said comes out
    while (!(await panes.sayAgain(view, ends.slice(start, start + windowsAtOnce)))) {
      await pause(systemClock, lookMs, signal);
      signal.throwIfAborted();
    }
  }
}

/** Until every relay has published what was said. Returns why one has not. */
async function untilRelayed({ config, state }: ReconcileRuntime, pipeline: Pipeline, signal: AbortSignal): Promise<readonly string[]> {
  const { outboxSeq = 0 } = (await readAggregate(state, pipeline.name)) ?? {};
  const failed: string[] = [];
  for (const { name, reads } of lanesOf(pipeline)) {
    if (reads !== 'outbox') continue;
    const relay = await openRelay(config, state, pipeline, name);
    try {
      for (const sinceMs = systemClock.steady(); (await relay.readFence()) < outboxSeq; await pause(systemClock, lookMs, signal)) {
        signal.throwIfAborted();
        if (systemClock.steady() - sinceMs < relayMs) continue;
        failed.push(`Lane ${name} does not publish what was said anew: it is paused or parked, or its destination is away. See ./sluice status.`);
        break;
      }
    } finally {
      await relay.close();
    }
  }
  return failed;
}

export function ownName(): string {
  return markName(Context.current().info.workflowExecution!);
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

const chunkRows = 50_000;
const windowsAtOnce = 100;
const lookMs = 100;
const relayMs = 60_000;
const migrationMs = 15_000;
