import type { DeadLetters } from '../connectors/postgres/dead-letters.ts';
import { eventsWithin, truncatesWithin } from '../connectors/events-within.ts';
import { PoisonError } from '../connectors/poison-error.ts';
import { ConfigurationError, FenceMoved, type Applied, type Sink } from '../connectors/sink.ts';
import { eventPositions } from '../core/event-positions.ts';
import { passingOver } from '../core/dead-letters/passing-over.ts';
import { refusedEvent } from '../core/dead-letters/refused-event.ts';
import type { Position } from '../core/position.ts';
import type { Segment } from '../core/segment.ts';

export type Letters = Pick<DeadLetters, 'keep' | 'passed' | 'voidBelow'>;

export type ApplyAround = {
  readonly name: string;
  readonly sink: Pick<Sink, 'readFence' | 'apply'>;
  readonly letters: Letters;
  /** Of the event table. */
  readonly key: string;
  /** Between two applies it may end before everything is applied. */
  readonly signal: AbortSignal;
};

export type AppliedAround = { readonly fence: Position; readonly applied: Applied };

/**
 * Applies (from, to]. If the sink refuses the content, the range is halved, each part by an ordinary apply under the
 * fence, until a single event is left: that one becomes a dead letter, and then the fence passes it (I2, I3). Returns
 * where the fence is then: at `to`, or below it when the signal has aborted.
 */
export async function applyAround(around: ApplyAround, segments: readonly Segment[], from: Position, to: Position): Promise<AppliedAround> {
  const { signal } = around;
  const total = { events: 0, deadLetters: 0 };
  let last: Applied = { events: 0 };
  let fence = from;
  const add = (applied: Applied, end: Position) => {
    last = { ...applied, late: (last.late ?? 0) + (applied.late ?? 0), retracted: (last.retracted ?? 0) + (applied.retracted ?? 0), windowsClosed: (last.windowsClosed ?? 0) + (applied.windowsClosed ?? 0), ...((last.stale || applied.stale) && { stale: true }) };
    around.letters.passed(applied.events);
    total.events += applied.events;
    fence = end;
  };
  // the ends of what is still to be applied, the nearest last
  const ends = [to, ...endsBeforeTruncates(segments, from, to)];
  while (ends.length > 0 && !(signal.aborted && fence > from)) {
    const end = ends.at(-1)!;
    try {
      add(await apply(around, segments, fence, end), end);
      ends.pop();
    } catch (error) {
      if (!(error instanceof PoisonError)) throw error;
      // what was refused may have been applied in part
      fence = await fenceWithin(around, fence, end);
      const positions = eventPositions(segments, fence, end);
      if (positions.length > 1) ends.push(positions[(positions.length >>> 1) - 1]!);
      else {
        add(await setAside(around, segments, fence, end, positions[0], error), end);
        total.deadLetters++;
        ends.pop();
      }
    }
  }
  return { fence, applied: { ...last, ...total } };
}

/** The letter first: whatever happens then, the event is in it or not yet behind the fence. */
async function setAside(around: ApplyAround, segments: readonly Segment[], from: Position, to: Position, position: Position | undefined, refusal: PoisonError): Promise<Applied> {
  if (position === undefined) throw notOfAnEvent(around, refusal);
  const { header } = segments.find((segment) => segment.header.from < position && position <= segment.header.to)!;
  const events = eventsWithin(segments, header.from, header.to);
  await around.letters.keep(refusedEvent(segments, position, around.key), refusal.detail, { from: header.from, to: header.to, events });
  try {
    return await apply(around, passingOver(segments, position, from, to), from, to);
  } catch (error) {
    throw error instanceof PoisonError ? notOfAnEvent(around, error) : error;
  }
}

/**
 * What comes before a truncate is applied before it, the nearest last: letters are void from there on, and while the fence
 * is still before it, an event that is refused must have one (I7).
 */
function endsBeforeTruncates(segments: readonly Segment[], from: Position, to: Position): readonly Position[] {
  const truncates = truncatesWithin(segments, from, to);
  if (truncates.length === 0) return [];
  const positions = eventPositions(segments, from, to);
  const ends = truncates.flatMap(({ position }) => positions.findLast((each) => each < position) ?? []);
  return [...new Set(ends)].toReversed();
}

/** Letters from before a truncate are void, and must be so before it is applied: a replay after it would bring rows back (E8). */
async function apply({ sink, letters }: ApplyAround, segments: readonly Segment[], from: Position, to: Position): Promise<Applied> {
  const truncate = truncatesWithin(segments, from, to).at(-1);
  if (truncate) await letters.voidBelow(truncate.position);
  return sink.apply(segments, from, to);
}

async function fenceWithin({ name, sink }: ApplyAround, from: Position, to: Position): Promise<Position> {
  const fence = await sink.readFence();
  if (fence === undefined || fence < from || fence >= to) throw new FenceMoved(`lane ${name}`, from, fence);
  return fence;
}

function notOfAnEvent({ name }: ApplyAround, refusal: PoisonError): ConfigurationError {
  return new ConfigurationError(`Lane ${name}: ${refusal.message}, and no single event is to blame. Mend what refuses it, then resume the lane.`, { cause: refusal });
}
