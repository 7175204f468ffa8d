import { CancelledFailure, Context } from '@temporalio/activity';
import { failureOf } from './failures.ts';
import type { PartProgress } from './progress.ts';
import type { Definition, Runtime } from './runtime.ts';
import type { StepEnd, StepInput, StepResult } from './steps.ts';

export type Step = {
  readonly definition: Definition;
  /** Aborts when the step should end: its time is over, it was asked to, or another attempt needs its place. */
  readonly signal: AbortSignal;
  readonly progress: PartProgress;
  /** Adds to what the step's result and its heartbeats say. */
  count(done: { readonly segments?: number; readonly events?: number; readonly late?: number; readonly retracted?: number; readonly stale?: boolean; readonly windowsClosed?: number; readonly deadLetters?: number; readonly watermarkMs?: number; readonly change?: number }): void;
};

/**
 * The frame of every step: heartbeats from a timer, so that an idle lane beats too (E23); an end when it is asked to, by the
 * server or sooner by its workflow (E26), or on time, but not while Temporal is away (E25); and a normal result, unless the
 * server has given this attempt up (E22).
 */
export async function runStep(runtime: Runtime, part: string, input: Omit<StepInput, 'durationMs'> & { readonly durationMs?: number }, work: (step: Step) => Promise<StepEnd>): Promise<StepResult> {
  const context = Context.current();
  const progress = runtime.progress.part(input.pipeline, part);
  const done = { segments: 0, events: 0, late: 0, retracted: 0, stale: false, windowsClosed: 0, deadLetters: 0, watermarkMs: undefined as number | undefined, change: undefined as number | undefined };
  const end = new AbortController();
  const stop = async (why: StepEnd, evenIfAway: boolean) => {
    if (!evenIfAway) await runtime.reachability.untilReachable();
    end.abort(why);
  };
  const asked = () => void stop('asked', context.cancellationDetails?.timedOut !== true);
  context.cancellationSignal.addEventListener('abort', asked, { once: true });
  if (context.cancellationSignal.aborted) asked();
  const unwatch = watchStop(runtime, part, input.number, asked);
  const beat = setInterval(() => context.heartbeat({ fence: progress.fence, ...done, watermarkMs: undefined }), input.heartbeatMs);
  let leave = () => {};
  let clock: NodeJS.Timeout | undefined;
  try {
    leave = await runtime.seats.take(`${input.pipeline}/${part}`, () => end.abort('superseded'));
    if (input.durationMs !== undefined) clock = setTimeout(() => void stop('time', false), input.durationMs);
    const definition = await runtime.definition(input.pipeline, input.definitionHash);
    progress.active = true;
    const count: Step['count'] = (more) => {
      done.segments += more.segments ?? 0;
      done.events += more.events ?? 0;
      done.late += more.late ?? 0;
      done.retracted += more.retracted ?? 0;
      done.stale ||= more.stale ?? false;
      done.windowsClosed += more.windowsClosed ?? 0;
      done.deadLetters += more.deadLetters ?? 0;
      done.watermarkMs = more.watermarkMs ?? done.watermarkMs;
      done.change = more.change ?? done.change;
    };
    const ended = await work({ definition, signal: end.signal, progress, count });
    assertWanted(context);
    return resultOf(ended === 'asked' && end.signal.aborted ? (end.signal.reason as StepEnd) : ended, progress.fence, done);
  } catch (error) {
    const failure = failureOf(error);
    // also of an attempt that the server has given up meanwhile: the next one may be held up likewise
    if (!(failure instanceof CancelledFailure)) progress.error = failure.message;
    if (end.signal.aborted && context.cancellationSignal.aborted) assertWanted(context);
    throw failure;
  } finally {
    progress.active = false;
    clearInterval(beat);
    clearTimeout(clock);
    context.cancellationSignal.removeEventListener('abort', asked);
    unwatch();
    leave();
  }
}

/** Calls `stop` if the run that began this step stops it before a heartbeat tells. Returns what ends the watch. */
export function watchStop({ stops }: Pick<Runtime, 'stops'>, part: string, number: number | undefined, stop: () => void): () => void {
  if (number === undefined) return () => {};
  // of the server, not of the input: after a reset, another run has taken that over
  const run = Context.current().info.workflowExecution!.runId;
  return stops.watch({ run, part, number }, stop);
}

/** Only the server knows what becomes of an attempt that it paused, reset, or does not know any more. */
function assertWanted({ cancellationDetails }: Context): void {
  if (!cancellationDetails) return;
  const { paused, reset, timedOut, notFound } = cancellationDetails;
  if (paused || reset || timedOut || notFound) throw new CancelledFailure('the server has given this attempt up');
}

function resultOf(ended: StepEnd, fence: string | undefined, done: { segments: number; events: number; late: number; retracted: number; stale: boolean; windowsClosed: number; deadLetters: number; watermarkMs: number | undefined; change: number | undefined }): StepResult {
  return {
    ended,
    ...(fence === undefined ? {} : { fence }),
    segments: done.segments,
    events: done.events,
    ...(done.late > 0 ? { late: done.late } : {}),
    ...(done.retracted > 0 ? { retracted: done.retracted } : {}),
    ...(done.stale ? { stale: true } : {}),
    ...(done.windowsClosed > 0 ? { windowsClosed: done.windowsClosed } : {}),
    ...(done.deadLetters > 0 ? { deadLetters: done.deadLetters } : {}),
    ...(done.change === undefined ? {} : { change: done.change }),
    ...(done.watermarkMs === undefined ? {} : { watermark: new Date(done.watermarkMs).toISOString() }),
  };
}
