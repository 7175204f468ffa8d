import { randomUUID } from 'node:crypto';
import { capture } from '../connectors/postgres/capture.ts';
import { connectSource } from '../connectors/postgres/postgres-source.ts';
import { keptVersions } from '../connectors/postgres/aggregate/dimension-versions.ts';
import { dimensionsAt } from '../connectors/postgres/dimensions-at.ts';
import { detachLane, readDetached } from '../connectors/postgres/detached-lanes.ts';
import { noteRebuilds } from '../connectors/postgres/live-rebuilds.ts';
import { readJoining } from '../connectors/postgres/redefinitions.ts';
import { assertNotBefore, keepSourceColumns, readChange, readOpenChange, readSourceColumns, recordChange } from '../connectors/postgres/schema-changes.ts';
import { readShard, recordConfirmed, type Confirmed, type ShardState } from '../connectors/postgres/shard-state.ts';
import type { Between } from '../connectors/postgres/standing.ts';
import { spoolUndecided } from '../connectors/postgres/undecided-capture.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { lanesToDetach } from '../core/detach.ts';
import { loadAnew } from '../core/load-anew.ts';
import { planMigration } from '../core/migration/plan.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { Position } from '../core/position.ts';
import { captureStart, countedFences, segmentLanes } from './capture-start.ts';
import type { Runtime } from './runtime.ts';
import { runStep, type Step } from './step.ts';
import type { CaptureStepInput, StepEnd, StepResult } from './steps.ts';

/** One step of the capture: the source's changes into the spool; or what follows a change that is not decided, as it comes. */
export function captureStep(runtime: Runtime, input: CaptureStepInput): Promise<StepResult> {
  const { undecided } = input;
  if (undecided !== undefined) return runStep(runtime, 'capture', input, (step) => keepUndecided(runtime, step, undecided));
  return runStep(runtime, 'capture', input, (step) => runtime.standing(input.pipeline).step((between) => captureTo(runtime, step, between)));
}

async function captureTo(runtime: Runtime, { definition: { pipeline, shape }, signal, progress, count }: Step, between: Between): Promise<StepEnd> {
  const { state } = runtime;
  const shard = await readShard(state, pipeline.name);
  if (shard?.state !== 'streaming') throw new ConfigurationError(`Pipeline ${pipeline.name} is not loaded, though it was: is the state database another one? ${loadAnew(pipeline.name)}`);
  const due = await dueChange(runtime, pipeline.name, shape.number, shard.epoch);
  if (due !== undefined) {
    count({ change: due });
    return 'changed';
  }
  const log = await runtime.log(pipeline.name);
  // those that join later hold on to what they will begin with (E20); what is made out of panes needs nothing of the stream
  const joining = await readJoining(state, pipeline.name);
  let lanes = await countingLanes(runtime, pipeline, joining);
  const unshaped = await runtime.unshaped(pipeline.name);
  const undecided = await runtime.undecided(pipeline.name);
  const { fences: asked, ...begin } = await captureStart({ pipeline, lanes, clock: systemClock, log, epoch: shard.epoch, loadedAt: shard.loadedAt, confirmedTo: shard.confirmed?.to, readFence: async (lane) => joining.get(lane) ?? runtime.destinations.readFence(pipeline, lane), noteRebuilds: (silent) => noteRebuilds(state, pipeline, silent) });
  // what it would read again has columns that this shape would not miss, but read as nothing
  if (begin.after === undefined) await assertNotBefore(state, pipeline.name, shard.epoch, begin.start);
  await runtime.progress.asked(pipeline.name, asked);
  const counted = () => countedFences(runtime.progress.fences(pipeline.name, lanes), joining);
  let before = { events: 0, segments: 0 };
  let detaching = false;
  let fullSinceMs: number | undefined;
  /** E20: rather than all others, as they may say, those stop for whom the spool has kept all that it may. */
  const detach = async (spoolBytes: number) => {
    if (detaching) return;
    detaching = true;
    try {
      const fences = counted();
      // also what an earlier worker has appended: most of it, after a restart at the budget
      const sizes = new Map<Position, number>();
      for (const fence of fences.values()) if (fence !== undefined && !sizes.has(fence)) sizes.set(fence, await log.sizeAfter(fence));
      const gone = lanesToDetach(pipeline, fences, spoolBytes, (position) => sizes.get(position)!);
      const now = counted();
      for (const lane of gone) {
        // it has begun to move
        if (now.get(lane) !== fences.get(lane)) continue;
        // on record first: nobody must find a place trimmed that still counts
        if (await detachLane(state, pipeline.name, lane, fences.get(lane), { ...shard, isJoining: joining.has(lane) })) lanes = lanes.filter((each) => each !== lane);
      }
    } finally {
      detaching = false;
    }
  };
  const result = await capture({
    ...between,
    pipeline,
    log,
    ...readingOf(runtime, pipeline, shard),
    columns: {
      shape,
      known: await readSourceColumns(state, pipeline.name, shard.epoch),
      concerns: (changes) => planMigration(unshaped, shape.columns, changes).verdict !== 'nothing',
      keep: (columns) => keepSourceColumns(state, pipeline.name, shard.epoch, columns),
      record: (found) => recordChange(state, pipeline.name, { ...found, shape: shape.number, epoch: shard.epoch }),
    },
    ...begin,
    undecided,
    dimensionsAt: (at) => dimensionsAt(keptVersions(state, pipeline.name), log, pipeline, at),
    fences: counted,
    lastEventMs: progress.lastEventMs,
    signal,
    onProgress: ({ events, segments, position, slotLagBytes, spoolBytes, spoolBudgetBytes, commitTimeUs, lastEventMs }) => {
      const moved = position !== progress.fence;
      progress.moved(position, events - before.events, moved && commitTimeUs > 0 ? commitTimeUs : undefined);
      progress.lastEventMs = lastEventMs;
      progress.slotLagBytes = slotLagBytes;
      progress.spoolBytes = spoolBytes;
      const nowMs = systemClock.steady();
      fullSinceMs = spoolBytes < spoolBudgetBytes ? undefined : (fullSinceMs ?? nowMs);
      if (fullSinceMs !== undefined && nowMs - fullSinceMs > standsMs) {
        // one that is not put on record now is the next time
        fullSinceMs = nowMs;
        void detach(spoolBytes).catch(() => {});
      }
      progress.error = spoolBytes >= spoolBudgetBytes ? fullText(spoolBytes, spoolBudgetBytes, 'lanes have taken what is in it') : undefined;
      count({ events: events - before.events, segments: segments - before.segments });
      before = { events, segments };
    },
  });
  progress.moved(result.position, result.events - before.events, undefined);
  count({ events: result.events - before.events, segments: result.segments - before.segments, ...(result.change === undefined ? {} : { change: result.change }) });
  return result.reason === 'stopped' ? 'asked' : result.reason;
}

/** Until the change is over: the next step of the capture reads it as it was decided. */
async function keepUndecided(runtime: Runtime, { definition: { pipeline, shape }, signal, progress, count }: Step, number: number): Promise<StepEnd> {
  const { state } = runtime;
  count({ change: number });
  await runtime.standing(pipeline.name).end();
  const shard = await readShard(state, pipeline.name);
  if (shard?.state !== 'streaming' || (await dueChange(runtime, pipeline.name, shape.number, shard.epoch)) !== number) return 'changed';
  const [change, log] = [await readChange(state, pipeline.name, number), await runtime.log(pipeline.name)];
  const tail = await log.tail();
  // the spool has lost what came before: the migration says so, and the source keeps what follows
  if (!tail || tail.to < change!.position!) return untilAsked(signal);
  const joining = await readJoining(state, pipeline.name);
  const lanes = await countingLanes(runtime, pipeline, joining);
  const reason = await spoolUndecided({
    pipeline,
    log,
    undecided: await runtime.keepUndecided(pipeline.name),
    ...readingOf(runtime, pipeline, shard),
    tail: tail.to,
    fences: () => countedFences(runtime.progress.fences(pipeline.name, lanes), joining),
    signal,
    onProgress: ({ slotLagBytes, spoolBytes, spoolBudgetBytes }) => {
      progress.slotLagBytes = slotLagBytes;
      progress.spoolBytes = spoolBytes;
      progress.error = spoolBytes >= spoolBudgetBytes ? fullText(spoolBytes, spoolBudgetBytes, `migration ${number} is over`) : undefined;
    },
  });
  return reason === 'stopped' ? 'asked' : reason;
}

function untilAsked(signal: AbortSignal): Promise<StepEnd> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('asked');
    signal.addEventListener('abort', () => resolve('asked'), { once: true });
  });
}

/** Who reads the source's stream, and what is on record of how far. */
function readingOf({ state, config }: Runtime, pipeline: Pipeline, shard: ShardState) {
  return {
    connect: () => connectSource(config.sourceUrl, pipeline, shard.tables),
    clock: systemClock,
    captureId: randomUUID(),
    shard,
    readConfirmed: async () => (await readShard(state, pipeline.name))?.confirmed,
    recordConfirmed: (confirmed: Confirmed) => recordConfirmed(state, pipeline.name, shard.epoch, confirmed),
  };
}

/** Lanes that read segments, for which the spool keeps what they have not got. */
async function countingLanes({ state }: Runtime, pipeline: Pipeline, joining: ReadonlyMap<string, Position | null>): Promise<readonly string[]> {
  const detached = await readDetached(state, pipeline.name);
  return segmentLanes(pipeline).filter((lane) => joining.get(lane) !== null && !detached.has(lane));
}

function fullText(bytes: number, budgetBytes: number, until: string): string {
  return `the spool is full (${bytes} bytes; spoolBudget and its disk allow ${budgetBytes}): nothing is read until ${until}, and the source keeps the rest`;
}

/**
 * The change that keeps a capture from beginning: one that is not over, or whose end this step's workflow has not heard of.
 * Asked before anything is appended, which would move the place where a change counts that only the catalogue shows.
 */
async function dueChange(runtime: Pick<Runtime, 'state' | 'definition'>, pipeline: string, number: number, epoch: number): Promise<number | undefined> {
  const { shape } = await runtime.definition(pipeline);
  return shape.number > number ? shape.number : readOpenChange(runtime.state, pipeline, epoch);
}

/** A spool that is full for so long has been trimmed since: who is merely slow has come on meanwhile, as nothing was read. */
const standsMs = 15_000;
