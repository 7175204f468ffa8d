import { Context } from '@temporalio/activity';
import { AggregateSink } from '../connectors/aggregate/aggregate-sink.ts';
import { PostgresAggregateTables } from '../connectors/postgres/aggregate/aggregate-tables.ts';
import { BackfillSnapshot } from '../connectors/postgres/backfill-snapshot.ts';
import { estimateRange } from '../connectors/postgres/backfill-estimate.ts';
import { lanesToRebuild } from '../connectors/postgres/live-rebuilds.ts';
import { readSourceColumns } from '../connectors/postgres/schema-changes.ts';
import { readShard, type ShardState } from '../connectors/postgres/shard-state.ts';
import type { State } from '../connectors/postgres/state/state.ts';
import { withSource } from '../connectors/postgres/with-source.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { rowSinks, waitsForLane, type BackfillPlan, type BackfillProgress, type BackfillRequest } from '../core/backfill.ts';
import { BadInput } from '../core/bad-input.ts';
import { lanesOf } from '../core/define/lanes.ts';
import { lostRowsText, uncountableViews } from '../core/migration/lost.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { unloadedText } from '../core/unloaded.ts';
import { goesOn, mostStandingMs, runBackfill } from './backfill-loop.ts';
import { beating, endingWhenAsked } from './beating.ts';
import { endMarksOfTheDead, markName } from './dead-marks.ts';
import { openSink, type OpenSink } from './open-destination.ts';
import type { Runtime } from './runtime.ts';

/** What the backfill workflow sees. */
export type BackfillActivities = {
  planBackfill(request: BackfillRequest): Promise<BackfillPlan>;
  /** One step: with one snapshot or several, until it is done, its time is over, or it is asked to end. */
  backfill(input: BackfillStepInput): Promise<BackfillStepResult>;
  /** What was not replaced stays as it is; live structures are made anew, here or by their lanes. */
  endBackfill(input: Pick<BackfillStepInput, 'request'>): Promise<void>;
};

export type BackfillStepInput = {
  readonly request: BackfillRequest;
  /** As in BackfillLoop. */
  readonly durationMs: number;
};

/** goes on: a lane that stood still, so that the next step need not wait. */
export type BackfillStepResult = { readonly ended: 'done' | 'time' | 'asked' | 'goes on'; readonly progress: BackfillProgress };

type BackfillRuntime = Pick<Runtime, 'config' | 'state' | 'definition'>;

export function planBackfill(runtime: BackfillRuntime, request: BackfillRequest): Promise<BackfillPlan> {
  return beating(async () => {
    const { config, state } = runtime;
    const pipeline = await definitionOf(runtime, request);
    const { views, sinks } = request;
    assertRows(pipeline, sinks);
    const unknown = views.filter((view) => !Object.hasOwn(pipeline.views, view));
    assertCountable(pipeline, views);
    if (unknown.length > 0) throw new BadInput(`Pipeline ${pipeline.name} has no view ${unknown.join(', ')}; it has ${Object.keys(pipeline.views).join(', ')}.`);
    // before anything is opened, which would make its tables
    await assertLoaded(state, pipeline.name);
    const panes = new AggregateSink(await PostgresAggregateTables.open(state, pipeline), pipeline);
    await endMarksOfTheDead(Context.current().client, panes, ownName());
    const { fromMs, toMs } = await panes.checkRebuild(views, request, request.yields);
    const { events } = pipeline.source;
    const windows = views.map((view) => [view, windowsOver(pipeline.views[view]!.window, fromMs, toMs)] as const);
    const estimate = await withSource(config.sourceUrl, `sluice ${pipeline.name} backfill`, (source) => estimateRange(source, pipeline, { fromMs, toMs }));
    return { fromMs, toMs, windows: Object.fromEntries(windows), sinks, ...estimate, relation: events.relation, eventTime: events.eventTime };
  });
}

function windowsOver({ everyMs, sizeMs }: Pipeline['views'][string]['window'], fromMs: number, toMs: number): number {
  return Math.ceil(toMs / everyMs) - Math.floor(fromMs / everyMs) + sizeMs / everyMs - 1;
}

export function backfill(runtime: BackfillRuntime, { request, durationMs }: BackfillStepInput): Promise<BackfillStepResult> {
  const { config, state } = runtime;
  let progress: BackfillProgress = { phase: 'beginning', fromMs: request.fromMs, toMs: request.toMs, doneToMs: request.fromMs, rows: 0, ...(Context.current().info.heartbeatDetails as BackfillProgress | undefined) };
  const rowsBefore = progress.rows;
  const work = async (signal: AbortSignal) => {
    const pipeline = await definitionOf(runtime, request);
    // a column may have gone since it was planned
    assertCountable(pipeline, request.views);
    const shard = await assertLoaded(state, pipeline.name);
    const panes = new AggregateSink(await PostgresAggregateTables.open(state, pipeline), pipeline);
    await endMarksOfTheDead(Context.current().client, panes, ownName());
    const open = await openRows(runtime, pipeline, request.sinks);
    try {
      const { isDone, standing } = await runBackfill({
        pipeline,
        name: ownName(),
        views: request.views,
        rows: new Map(open.map(([lane, { range }]) => [lane, range!])),
        asked: request,
        yields: request.yields === true,
        chunkRows: request.chunkRows,
        rowsPerSecond: request.rowsPerSecond ?? undefined,
        panes,
        durationMs,
        take: async (left) => BackfillSnapshot.take({ pipeline, sourceUrl: config.sourceUrl, epoch: shard.epoch, known: await readSourceColumns(state, pipeline.name, shard.epoch), chunkRows: request.chunkRows, signal }, left),
        clock: systemClock,
        signal,
        onProgress: ({ phase, range, doneToMs, rows }) => (progress = { phase, fromMs: Math.min(range.fromMs, progress.fromMs), toMs: range.toMs, doneToMs, rows: rowsBefore + rows }),
      });
      if (standing) {
        // here rather than in the workflow, which cannot see that it goes on; the next step takes the definition of then
        progress = { ...progress, phase: waitsForLane(standing.lane, 'to go on') };
        if (await goesOn(standing, { clock: systemClock, signal, mostMs: mostStandingMs })) return { ended: 'goes on' as const, progress };
        if (signal.aborted) return { ended: 'asked' as const, progress };
      }
      if (!isDone) return { ended: 'time' as const, progress };
      return { ended: 'done' as const, progress: { ...progress, phase: 'done', doneToMs: progress.toMs } };
    } catch (error) {
      // the reason itself: whatever fails beside it is said
      if (signal.aborted && error === signal.reason) return { ended: 'asked' as const, progress };
      throw error;
    } finally {
      for (const [, { sink }] of open) await sink.close().catch(() => {});
    }
  };
  return beating(() => endingWhenAsked(() => 'asked', work), () => progress);
}

export function endBackfill(runtime: BackfillRuntime, { request }: Pick<BackfillStepInput, 'request'>): Promise<void> {
  return beating(async () => {
    const { config, state } = runtime;
    const { pipeline } = await runtime.definition(request.pipeline);
    // one that was destroyed has no marks, and must get no tables
    if (!(await readShard(state, pipeline.name))) return;
    await new AggregateSink(await PostgresAggregateTables.open(state, pipeline), pipeline).endRebuild(ownName());
    const due = await lanesToRebuild(state, pipeline.name);
    for (const { name } of lanesOf(pipeline)) {
      if (!due.has(name)) continue;
      // it stays due, and its lane does it at its next step: nobody waits here for a destination that is away
      await rebuildLive(config, state, pipeline, name).catch((error: unknown) => Context.current().log.warn(`lane ${name} of ${pipeline.name} is left to make its live structure anew`, { error }));
    }
  });
}

async function rebuildLive(config: Runtime['config'], state: State, pipeline: Pipeline, lane: string): Promise<void> {
  const { sink, replay } = await openSink(config, state, pipeline, lane);
  try {
    if (replay.kind === 'rebuild') await replay.rebuild();
  } finally {
    await sink.close();
  }
}

/** The source has no columns of before any more: what was asked for by another definition than the newest would be tried for ever. */
async function definitionOf(runtime: Pick<Runtime, 'definition'>, { pipeline: name, definitionHash }: BackfillRequest): Promise<Pipeline> {
  if (definitionHash !== undefined) await runtime.definition(name, definitionHash);
  const { pipeline, hash } = await runtime.definition(name);
  if (definitionHash !== undefined && hash !== definitionHash) throw new BadInput(`${name} was migrated meanwhile, or changed in place, and this was to be computed as it was before. Ask for it again; a repair of late changes begins anew by itself.`);
  return pipeline;
}

async function assertLoaded(state: State, pipeline: string): Promise<ShardState> {
  const shard = await readShard(state, pipeline);
  if (shard?.state === 'streaming') return shard;
  throw new BadInput(shard ? `Pipeline ${pipeline} is not loaded, and its first load computes every window there is. See ./sluice status.` : unloadedText(pipeline, 'it has no windows'));
}

function assertCountable(pipeline: Pipeline, views: readonly string[]): void {
  const uncountable = views.filter((view) => uncountableViews(pipeline).has(view));
  if (uncountable.length > 0) throw new BadInput(`Panes of ${uncountable.join(', ')} cannot be computed anew: they count by a column that the source of ${pipeline.name} has no more, so what they counted before is in them alone. Name other views with --views.`);
}

function assertRows(pipeline: Pipeline, sinks: readonly string[]): void {
  const possible = rowSinks(pipeline);
  const other = sinks.filter((sink) => !possible.includes(sink));
  if (other.length > 0) throw new BadInput(`${other.join(', ')} of ${pipeline.name} cannot be written anew for a time: only rows with versions can${possible.length === 0 ? ', and it has no such sink' : `, which are those of ${possible.join(', ')}`}. Results and live structures follow the views by themselves.`);
  const lost = lostRowsText(pipeline);
  if (sinks.length > 0 && lost !== undefined) throw new BadInput(`Rows of ${sinks.join(', ')} cannot be written anew alone: ${lost}. A backfill that names views leaves rows out: --views.`);
}

/** Of their own: a lane that runs here must not lose its sink to a backfill's trouble. */
async function openRows({ config, state }: BackfillRuntime, pipeline: Pipeline, sinks: readonly string[]): Promise<readonly (readonly [string, OpenSink])[]> {
  assertRows(pipeline, sinks);
  return Promise.all(sinks.map(async (lane) => [lane, await openSink(config, state, pipeline, lane)] as const));
}

function ownName(): string {
  return markName(Context.current().info.workflowExecution!);
}
