import { CancelledFailure, Context } from '@temporalio/activity';
import { lanesToRebuild } from '../connectors/postgres/live-rebuilds.ts';
import { waitingLetters, withLetter } from '../connectors/postgres/replayed-letters.ts';
import type { State } from '../connectors/postgres/state/state.ts';
import { hasPassed } from '../core/dead-letters/has-passed.ts';
import { letterSegment } from '../core/dead-letters/letter-segment.ts';
import type { LaneReplay } from '../core/dead-letters/replay-report.ts';
import { lanesOf } from '../core/define/lanes.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { beating } from './beating.ts';
import { openSink, type EventReplay, type OpenSink } from './open-destination.ts';
import type { Runtime } from './runtime.ts';

/** What the replay workflow sees. */
export type ReplayActivities = {
  /** The lanes that have letters to replay, in the order in which it must be done. */
  lanesToReplay(input: ReplayInput): Promise<readonly string[]>;
  /** One lane's letters, in the order of the stream. */
  replay(input: ReplayInput & { readonly lane: string }): Promise<LaneReplay>;
};

export type ReplayInput = {
  readonly pipeline: string;
  /** Only this lane's letters; without it all. */
  readonly lane?: string;
  /** Only this letter. */
  readonly id?: number;
};

type ReplayRuntime = Pick<Runtime, 'config' | 'state' | 'definition'>;

/**
 * The aggregate lane first: live structures are made of its panes, so they follow it even if no letter of theirs waits, and
 * also if an earlier replay did not come to them.
 */
export function lanesToReplay(runtime: ReplayRuntime, input: ReplayInput): Promise<readonly string[]> {
  return beating(async () => {
    const { pipeline } = await runtime.definition(input.pipeline);
    const waiting = new Set((await waitingLetters(runtime.state, input)).map(({ lane }) => lane));
    const due = await lanesToRebuild(runtime.state, input.pipeline);
    const follows = (live: string) => waiting.has('aggregate') || (due.has(live) && [undefined, 'aggregate', live].includes(input.lane));
    return lanesOf(pipeline).flatMap(({ name, kind }) => (waiting.has(name) || (kind === 'redis-live' && follows(name)) ? [name] : []));
  });
}

/** Each letter in a transaction that holds and settles it: what is replayed already does not wait, so an attempt may begin from the start. */
export function replay(runtime: ReplayRuntime, input: ReplayInput & { readonly lane: string }): Promise<LaneReplay> {
  const { config, state } = runtime;
  const context = Context.current();
  const done = { replayed: 0, waiting: 0, first: [] as number[] };
  return beating(async () => {
    let open: OpenSink | undefined;
    try {
      const { pipeline } = await runtime.definition(input.pipeline);
      // of its own: a lane that runs here must not lose its sink to a letter's trouble
      open = await openSink(config, state, pipeline, input.lane);
      const { sink, replay: send } = open;
      const fence = await sink.readFence();
      const letters = await waitingLetters(state, input);
      const waitsOn = (id: number) => {
        if (++done.waiting <= 10) done.first.push(id);
      };
      if (send.kind === 'rebuild') {
        await send.rebuild();
        const left = await waitingLetters(state, input);
        left.forEach(({ id }) => waitsOn(id));
        return { ...done, replayed: letters.length - left.length };
      }
      // what an attempt that was killed had on its way
      if (context.info.attempt > 1) await send.buryVoid?.();
      for (const letter of letters) {
        if (context.cancellationSignal.aborted) throw new CancelledFailure('the replay was asked to stop; what still waits can be replayed later');
        const outcome = hasPassed(fence, letter.position) ? await replayLetter(state, pipeline, send, letter.id) : undefined;
        if (outcome === 'replayed') done.replayed++;
        else if (outcome !== 'settled') waitsOn(letter.id);
      }
      return done;
    } finally {
      await open?.sink.close().catch(() => {});
    }
  }, () => done);
}

/** One letter, as `withLetter` says. */
export async function replayLetter(state: State, pipeline: Pipeline, send: EventReplay, id: number): ReturnType<typeof withLetter> {
  try {
    return await withLetter(state, id, (letter, client) => send.event(letterSegment(pipeline, letter), letter.edits, client));
  } catch (error) {
    // the letter's lock may have been lost while its row was on the way, and a truncate have passed; if this fails, a next attempt does it
    await send.buryVoid?.().catch(() => {});
    throw error;
  }
}
