import { applyAround, type ApplyAround } from './apply-around.ts';
import type { ApplyLimit } from './apply-limit.ts';
import { ConfigurationError, FenceMoved, type Applied, type Sink } from '../connectors/sink.ts';
import { SpoolTooShort, type SegmentLog } from '../connectors/spool/segment-log.ts';
import { pause, type Clock } from '../core/clock.ts';
import { eventPosition } from '../core/event-positions.ts';
import { killPoint } from '../core/kill-point.ts';
import { parsePosition, type Position } from '../core/position.ts';
import { rowsAfter, type Segment } from '../core/segment.ts';
import type { StepEnd } from './steps.ts';

export type LaneLoop = ApplyAround & {
  readonly pipeline: string;
  readonly sink: Sink;
  /** Makes what the destination has lost out of what others keep, and returns the fence it has then. */
  readonly rebuild?: (() => Promise<Position>) | undefined;
  readonly log: Pick<SegmentLog, 'read' | 'release'>;
  /** How many migrations the columns that it knows have gone through; missing: none. */
  readonly shape?: number;
  /** Apply nothing above this, and end there. */
  readonly until?: Position | undefined;
  /**
   * The shortest time from one apply's beginning to the next one's: segments come together in it. If the stream is late and
   * more of it is on its way, a fifth of the delay and a second at most, for who writes so much saves by writing seldom.
   */
  readonly gatherMs: number;
  /** About how many rows one apply takes. */
  readonly maxRows: number;
  /** Of a destination that does nothing else during an apply. */
  readonly limit?: Pick<ApplyLimit, 'events' | 'applied'> | undefined;
  readonly clock: Clock;
  readonly onFence: (fence: Position) => void;
  readonly onApplied: (segments: readonly Segment[], fence: Position, applied: Applied) => void;
};

/** In a row, without an own success between: then the other worker is really at work. */
const movesUntilSuperseded = 3;

/**
 * Applies segments from the sink's fence on, each time all that have come while the sink was busy, until the signal
 * aborts or `until` is reached. Only the waits are interruptible: an apply always ends (E22).
 */
export async function runLane(loop: LaneLoop): Promise<StepEnd> {
  const { until, signal } = loop;
  let fence = await readFence(loop);
  let moves = 0;
  let begunMs = Number.NEGATIVE_INFINITY;
  let captureId: string | undefined;
  for (;;) {
    loop.onFence(fence);
    if (until !== undefined && fence >= until) return fence === until ? 'held' : 'past';
    const segments = signal.aborted ? [] : await nextSegments(loop, fence, begunMs);
    if (segments instanceof ConfigurationError) {
      // another worker may have gone on from there, and the spool have been lost and begun anew above it
      const found = await readFence(loop);
      fence = found === fence ? await rebuilt(loop, fence, segments) : found;
      continue;
    }
    if (segments.length === 0) return signal.aborted ? 'asked' : 'changed';
    const { to: last, captureId: newest } = segments.at(-1)!.header;
    // what another capture has found out when it began is on record before its first segment is there
    if (loop.rebuild && newest !== captureId) {
      captureId = newest;
      loop.log.release(segments);
      fence = await readFence(loop);
      continue;
    }
    const to = limited(loop.limit, segments, fence, until !== undefined && until < last ? until : last);
    begunMs = loop.clock.steady();
    killPoint('lane/handed-over', loop.name);
    try {
      const { fence: reached, applied } = await applyAround(loop, segments, fence, to);
      killPoint('lane/applied', loop.name);
      fence = reached;
      moves = 0;
      loop.limit?.applied(applied.events, loop.clock.steady() - begunMs);
      loop.onApplied(segments.filter(({ header }) => header.to <= reached), fence, applied);
      // only now: what an apply that failed has left behind may still look at them
      loop.log.release(segments);
    } catch (error) {
      if (!(error instanceof FenceMoved)) throw error;
      if (++moves === movesUntilSuperseded) return 'superseded';
      fence = await readFence(loop);
    }
  }
}

/** Where an apply ends. */
function limited(limit: LaneLoop['limit'], segments: readonly Segment[], from: Position, to: Position): Position {
  if (!limit || rowsOf(segments) <= limit.events) return to;
  return eventPosition(segments, from, to, limit.events) ?? to;
}

function rowsOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, segment) => sum + rowsAfter(segment), 0);
}

/** Empty when the signal aborts first; an error if what follows the fence is not to be had from the spool (I4). */
async function nextSegments(loop: LaneLoop, fence: Position, begunMs: number): Promise<readonly Segment[] | ConfigurationError> {
  const { log, until, gatherMs, clock, signal } = loop;
  for (;;) {
    const segments = await segmentsAfter(loop, fence);
    if (segments instanceof ConfigurationError || segments.length === 0) return segments;
    if (until !== undefined) return segments.filter(({ header }) => header.from < until);
    const delayMs = segments.at(-1)!.header.delayMs ?? 0;
    const nowMs = clock.steady();
    const restMs = begunMs + gatherMs - nowMs;
    const lateMs = begunMs + Math.min(delayMs / 5, longestMs) - nowMs;
    if (Math.max(restMs, lateMs) <= 0 || isEnough(loop, segments)) return segments;
    log.release(segments);
    await pause(clock, restMs > 0 ? restMs : Math.min(lateMs, lookMs), signal);
    if (signal.aborted) return [];
  }
}

/** Also what a capture is ahead of its foremost lane while it waits for that (LanePace): or both would wait. */
function isEnough({ maxRows, limit }: LaneLoop, segments: readonly Segment[]): boolean {
  const rows = rowsOf(segments);
  return rows >= maxRows / 2 || rows > (limit?.events ?? Number.POSITIVE_INFINITY) || segments.reduce((sum, { bytes }) => sum + bytes.length, 0) >= enoughBytes;
}

export const enoughBytes = 10 << 20;
const longestMs = 1_000;
/** How soon it is seen that no more is on its way. */
const lookMs = 50;

/** Why the spool cannot bring a destination on from where it is; undefined: it can. */
export async function lackOf(lane: Place & { readonly log: LaneLoop['log'] }, fence: Position | undefined): Promise<ConfigurationError | undefined> {
  if (fence === undefined) return withoutFence(lane);
  const segments = await segmentsAfter({ ...lane, maxRows: 1, signal: AbortSignal.abort() }, fence);
  if (segments instanceof ConfigurationError) return segments;
  lane.log.release(segments);
  return undefined;
}

/** Where a lane reads on. */
type Place = Pick<LaneLoop, 'pipeline' | 'name' | 'shape'>;

async function segmentsAfter(loop: Place & Pick<LaneLoop, 'log' | 'maxRows' | 'signal'>, fence: Position): Promise<readonly Segment[] | ConfigurationError> {
  const { log, maxRows, signal } = loop;
  try {
    const segments = await log.read(fence, { maxRows }, signal);
    const { epoch } = parsePosition(fence);
    const load = segments.map(({ header }) => parsePosition(header.to).epoch).find((each) => each !== epoch);
    if (load === undefined) return ofShape(loop, fence, segments);
    // E28: what a load found, sinks have from that load alone; in the stream its place looks as if nothing were there
    return setBack(loop, `at position ${fence}, of load ${epoch}, and the stream goes on with load ${load}, which found rows that are not in it.`);
  } catch (error) {
    if (!(error instanceof SpoolTooShort)) throw error;
    return setBack(loop, `at position ${fence}, and the spool begins at ${error.oldest}: what is between was trimmed (spoolKeep).`, error);
  }
}

function setBack({ pipeline, name }: Place, where: string, cause?: Error): ConfigurationError {
  const lead = `Was the destination restored to an earlier time? Restore it to a later one and type ./sluice resume ${pipeline} --lane ${name}, or have what it lacks read from the source again: `;
  return new ConfigurationError(`Lane ${name}: its destination is ${where}`, { cause, mend: { lead, type: `./sluice recover ${pipeline}` } });
}

function withoutFence({ pipeline, name }: Place): ConfigurationError {
  const lead = `Was it emptied or replaced? Restore it and type ./sluice resume ${pipeline} --lane ${name}, or have what it had read from the source again: `;
  return new ConfigurationError(`Lane ${name}: its destination has no fence, though the pipeline was loaded.`, { mend: { lead, type: `./sluice recover ${pipeline}` } });
}

/**
 * Up to where the columns become others: what follows is for a step that knows them. An error if it begins with columns of
 * before: every lane had all of those when they were given up, so this destination has lost some.
 */
function ofShape(loop: Place & Pick<LaneLoop, 'log'>, fence: Position, segments: readonly Segment[]): readonly Segment[] | ConfigurationError {
  const { log, shape = 0 } = loop;
  const end = segments.findIndex(({ header }) => header.kind === 'events' && (header.shape ?? 0) !== shape);
  if (end < 0) return segments;
  log.release(segments.slice(end));
  if (end > 0 || (segments[0]!.header.shape ?? 0) > shape) return segments.slice(0, end);
  return setBack(loop, `at position ${fence}, which is before migration ${shape} of the source's columns, and what follows has the columns of then.`);
}

/** Out of what others keep; throws `why` if the destination cannot be, or is then where it was. */
async function rebuilt({ rebuild }: LaneLoop, fence: Position, why: ConfigurationError): Promise<Position> {
  const found = await rebuild?.();
  if (found === undefined || found === fence) throw why;
  return found;
}

/** I4: asked of the sink itself. */
async function readFence(loop: LaneLoop): Promise<Position> {
  const fence = (await loop.sink.readFence()) ?? (await loop.rebuild?.());
  if (fence === undefined) throw withoutFence(loop);
  return fence;
}
