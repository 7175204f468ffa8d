import { CancelledFailure, Context } from '@temporalio/activity';
import { AggregateSink } from '../connectors/aggregate/aggregate-sink.ts';
import { PostgresAggregateTables } from '../connectors/postgres/aggregate/aggregate-tables.ts';
import { BackfillSnapshot } from '../connectors/postgres/backfill-snapshot.ts';
import { readDetached } from '../connectors/postgres/detached-lanes.ts';
import { greatestOf } from '../connectors/postgres/fences.ts';
import { loadBeside } from '../connectors/postgres/first-load.ts';
import { keepFrom, readJoining, readRedefinition, type Redefinition } from '../connectors/postgres/redefinitions.ts';
import { readSourceColumns } from '../connectors/postgres/schema-changes.ts';
import { readShard, type ShardState } from '../connectors/postgres/shard-state.ts';
import { ConfigurationError, type Sink } from '../connectors/sink.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { TransientError } from '../connectors/transient-error.ts';
import { rangeText, waitsForLane } from '../core/backfill.ts';
import { killPoint } from '../core/kill-point.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { origin } from '../core/position.ts';
import { redefineWorkflowId, type RedefineInput } from '../core/redefine.ts';
import { goesOn, mostStandingMs, runBackfill } from './backfill-loop.ts';
import { beating, endingWhenAsked } from './beating.ts';
import { openSink } from './open-destination.ts';
import { rest } from './rest.ts';
import type { Definition, Runtime } from './runtime.ts';

/*
 * What is new of a pipeline that has become another is filled while its stream goes on: windows that new relays lack, panes, and rows. Any
 * of it may be repeated.
 */

/** goes on: as of a backfill's step. `isFurther`: panes were done. A step of before does not say. */
export type Filled = { readonly ended: 'done' | 'time' | 'asked' | 'goes on'; readonly isFurther?: boolean; readonly rows: number; readonly text: string };

export type RedefineRuntime = Pick<Runtime, 'config' | 'state' | 'definition' | 'applied' | 'log'>;

export function sayKept(runtime: RedefineRuntime, input: RedefineInput): Promise<void> {
  return redefining(async (context) => {
    const { redefinition, pipeline } = await filling(runtime, input);
    const panes = await openPanes(runtime, pipeline);
    for (const view of redefinition.plan.again) {
      const ends = await panes.keptEnds(view);
      for (let start = 0; start < ends.length; start += windowsAtOnce) {
        // while lanes are held to be compared, nothing that is said comes out
        while (!(await panes.sayAgain(view, ends.slice(start, start + windowsAtOnce)))) await rest(context, lookMs);
        if (context.cancellationSignal.aborted) throw new CancelledFailure('asked to stop');
      }
    }
  });
}

export function fillPanes(runtime: RedefineRuntime, { durationMs, ...input }: RedefineInput & { readonly durationMs: number }): Promise<Filled> {
  let told: { rows: number; text: string } = { rows: 0, text: 'beginning' };
  const work = async (signal: AbortSignal) => {
    const { redefinition: { plan: { fills }, number, epoch }, pipeline } = await filling(runtime, input);
    const panes = await openPanes(runtime, pipeline);
    const id = redefineWorkflowId(pipeline.name, number);
    let [rows, isFurther] = [0, false];
    try {
      for (const mark of (await panes.rebuilding()).filter(({ backfill, fills: isFill }) => isFill && (backfill === id || backfill.startsWith(`${id}/`)))) {
        const { rows: read, isDone, standing } = await runBackfill({
          pipeline,
          name: mark.backfill,
          views: fills,
          rows: new Map(),
          asked: mark,
          chunkRows,
          rowsPerSecond: undefined,
          panes,
          durationMs,
          take: async (left) => BackfillSnapshot.take({ pipeline, sourceUrl: runtime.config.sourceUrl, epoch, known: await readSourceColumns(runtime.state, pipeline.name, epoch), chunkRows, signal }, left),
          clock: systemClock,
          signal,
          onProgress: ({ phase, range, doneToMs, rows: now }) => {
            isFurther ||= doneToMs > range.fromMs;
            told = { rows: rows + now, text: `${fills.join(', ')}: ${rangeText(doneToMs, range.toMs)} left; ${phase}` };
          },
        });
        rows += read;
        if (standing) {
          told = { rows, text: `${fills.join(', ')}: ${waitsForLane(standing.lane, 'to go on')}` };
          // as a backfill's step does
          if (await goesOn(standing, { clock: systemClock, signal, mostMs: mostStandingMs })) return { ended: 'goes on' as const, ...told };
          if (signal.aborted) return { ended: 'asked' as const, ...told };
        }
        if (!isDone) return { ended: 'time' as const, isFurther, rows, text: told.text };
        isFurther = true;
        await panes.endRebuild(mark.backfill);
      }
      return { ended: 'done' as const, rows, text: `${fills.join(', ')} complete` };
    } catch (error) {
      if (signal.aborted && error === signal.reason) return { ended: 'asked' as const, ...told };
      throw error;
    }
  };
  return beating(() => endingWhenAsked(() => 'asked', work), () => told);
}

export function fillLanes(runtime: RedefineRuntime, input: RedefineInput): Promise<{ readonly rows: number }> {
  const work = async (signal: AbortSignal, tell: (now: object) => void) => {
    const { redefinition: { plan: { loads }, epoch }, pipeline, shape, shard } = await filling(runtime, input);
    const [joining, detached] = [await readJoining(runtime.state, pipeline.name), await readDetached(runtime.state, pipeline.name)];
    const sinks = new Map<string, Sink>();
    const assertCurrent = () => assertJoining(runtime, pipeline.name, { epoch, shape: shape.number }, [...sinks.keys()]);
    try {
      for (const lane of loads) if (joining.has(lane) && !detached.has(lane)) sinks.set(lane, (await openSink(runtime.config, runtime.state, pipeline, lane)).sink);
      if (sinks.size === 0) return { rows: 0 };
      const { rows, position } = await loadBeside({
        pipeline,
        sourceUrl: runtime.config.sourceUrl,
        epoch,
        shard,
        reached: greatestOf(new Map([...sinks.keys()].map((lane) => [lane, joining.get(lane) ?? undefined]))) ?? origin,
        known: await readSourceColumns(runtime.state, pipeline.name, epoch),
        sinks,
        // a worker that stood still until the lanes run must not bring rows of its snapshot
        assertCurrent,
        signal,
        onProgress: tell,
      });
      await assertCurrent();
      await keepFrom(runtime.state, pipeline.name, [...sinks.keys()], position);
      killPoint('redefine/lanes-filled');
      return { rows };
    } finally {
      for (const sink of sinks.values()) await sink.close().catch(() => {});
    }
  };
  return redefining((_, tell) => endingWhenAsked(() => new CancelledFailure('asked to stop'), (signal) => work(signal, tell)));
}

async function assertJoining(runtime: RedefineRuntime, name: string, { epoch, shape }: { readonly epoch: number; readonly shape: number }, lanes: readonly string[]): Promise<void> {
  const shard = await assertStreaming(runtime, name);
  const joining = await readJoining(runtime.state, name);
  // no migration waits for lanes that join, and what their snapshot has to be followed by has the columns of before
  if ((await runtime.definition(name)).shape.number !== shape) throw new TransientError(`the columns of ${name} were migrated while ${lanes.join(', ')} was loaded: that begins anew`);
  // what follows its snapshot is not kept for it any more
  const gone = [...(await readDetached(runtime.state, name)).keys()].filter((lane) => lanes.includes(lane));
  if (gone.length > 0) throw new TransientError(`${gone.join(', ')} of ${name} was detached while it was loaded, as the spool had kept all that it may: that begins anew for the others`);
  if (shard.epoch !== epoch || lanes.some((lane) => !joining.has(lane))) throw new ConfigurationError(`The load of ${lanes.join(', ')} of ${name} counts no more: another one has ended, or the pipeline was loaded anew.`);
}

/** A redefinition that the pipeline has taken over, and what it runs by. Throws ConfigurationError if it counts no more. */
async function filling(runtime: RedefineRuntime, { pipeline: name, number }: RedefineInput): Promise<{ redefinition: Redefinition; shard: ShardState } & Pick<Definition, 'pipeline' | 'shape'>> {
  const redefinition = await readRedefinition(runtime.state, name, number);
  const shard = await assertStreaming(runtime, name);
  if (redefinition.state !== 'filling' || redefinition.epoch !== shard.epoch) throw new ConfigurationError(`Redefinition ${number} of ${name} is ${redefinition.state}, and there is nothing to fill: was the pipeline loaded anew?`);
  const { pipeline, shape } = await runtime.definition(name);
  return { redefinition, shard, pipeline, shape };
}

export async function assertStreaming({ state }: Pick<Runtime, 'state'>, pipeline: string): Promise<ShardState> {
  const shard = await readShard(state, pipeline);
  if (shard?.state === 'streaming') return shard;
  throw new ConfigurationError(`Pipeline ${pipeline} is not loaded, so there is nothing to change in place. See ./sluice status.`);
}

async function openPanes({ state }: RedefineRuntime, pipeline: Pipeline): Promise<AggregateSink> {
  return new AggregateSink(await PostgresAggregateTables.open(state, pipeline), pipeline);
}

/** `tell`: what is known of it, see `beating`. */
export function redefining<T>(work: (context: Context, tell: (now: object) => void) => Promise<T>): Promise<T> {
  const context = Context.current();
  let told: object | undefined;
  const orNextAttempt = async () => {
    try {
      return await work(context, (now) => (told = now));
    } catch (error) {
      // the server takes no cancellation that it has not asked for
      throw error instanceof CancelledFailure && !context.cancellationDetails?.cancelRequested ? new Error('its worker is to end; the next attempt goes on') : error;
    }
  };
  return beating(orNextAttempt, () => told);
}

const chunkRows = 100_000;
const windowsAtOnce = 100;
const lookMs = 200;
