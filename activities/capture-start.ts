import type { CaptureOptions } from '../connectors/postgres/capture.ts';
import { greatestOf, smallestOf } from '../connectors/postgres/fences.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import type { SegmentLog } from '../connectors/spool/segment-log.ts';
import { pause, type Clock } from '../core/clock.ts';
import { lanesOf } from '../core/define/lanes.ts';
import { loadAnew } from '../core/load-anew.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { parsePosition, type Position } from '../core/position.ts';

export type CaptureStart = {
  readonly pipeline: Pipeline;
  /** Those that count; missing: all that read segments. */
  readonly lanes?: readonly string[];
  readonly clock: Clock;
  readonly log: Pick<SegmentLog, 'tail' | 'oldest'>;
  /** Of the load that the state database knows as the last one. */
  readonly epoch: number;
  /** Where the last load ended. */
  readonly loadedAt: Position | undefined;
  /** Up to here the source was told to forget. */
  readonly confirmedTo: Position | undefined;
  /** Of a lane that reads segments: asked of its destination. */
  readonly readFence: (lane: string) => Promise<Position | undefined>;
  /** Puts on record that these live lanes must be made anew out of the panes. */
  readonly noteRebuilds: (lanes: readonly string[]) => Promise<void>;
};

/**
 * Where a capture goes on: at the spool's tail; a spool from before the last load is continued where that load ended
 * (E28). If the spool is empty, or was lost, where the sink that is furthest behind is (E5). So it is too if the spool
 * begins above that sink, and nothing that is between was confirmed to the source: then the spool is to be given up
 * (`startsOver`). `reached` is the greatest position that the spool or any sink has; throws ConfigurationError if that is
 * of a later load than the state database knows of.
 *
 * A sink that does not answer holds up nothing as long as there is a spool: then its fence is merely not known. A live
 * structure that does not holds up nothing without one either, or with an old one that others are beyond; but nothing is
 * left then to say what it was made of (changes that a promotion has undone, perhaps), so it is made anew when it comes
 * back (E1).
 */
export async function captureStart(options: CaptureStart): Promise<Start> {
  const silent = new Set<string>();
  const start = await startOf({ ...options, silent });
  assertKnownLoad(options, start.reached);
  const unknown = [...start.fences].flatMap(([lane, fence]) => (fence === undefined && isLive(options.pipeline, lane) ? [lane] : []));
  // before the first segment is appended, or the next capture would find a spool
  const saysNothing = start.after === undefined || start.reached > start.after.to;
  if (saysNothing && unknown.length > 0) await options.noteRebuilds(unknown);
  const doubted = unknown.filter((lane) => saysNothing || !silent.has(lane));
  return { ...start, fences: new Map([...start.fences].filter(([lane, fence]) => fence !== undefined || doubted.includes(lane))) };
}

/** `fences`: what the sinks that were asked have said; undefined for a live structure that must be made anew. */
type Start = Pick<CaptureOptions, 'start' | 'after' | 'reached' | 'startsOver'> & { readonly fences: Fences };

/** `silent`: gets those that did not answer. */
type Asking = CaptureStart & { readonly silent: Set<string> };

async function startOf(options: Asking): Promise<Start> {
  const { pipeline, log, loadedAt, confirmedTo } = options;
  const [after, oldest] = [await log.tail(), await log.oldest()];
  if (!after || !oldest) return beginning(pipeline, await fencesOf({ ...options, readFence: (lane) => (isLive(pipeline, lane) ? ifItAnswers(options, lane) : options.readFence(lane)) }));
  if (loadedAt !== undefined && loadedAt > after.to) return { start: loadedAt, after, reached: loadedAt, fences: new Map() };
  const fences = await fencesOf({ ...options, readFence: (lane) => ifItAnswers(options, lane) });
  const [smallest, greatest = after.to] = [smallestOf(needed(pipeline, fences)), greatestOf(fences)];
  const reached = greatest > after.to ? greatest : after.to;
  if (smallest === undefined || smallest >= oldest.from || confirmedTo === undefined || confirmedTo > smallest) return { start: after.to, after, reached, fences };
  return { start: smallest, after: undefined, reached, fences, startsOver: true };
}

/** What counts of lanes, of which that is told: of those that are to join, what is kept for them, wherever they were before (E20). */
export function countedFences(told: ReadonlyMap<string, Position | undefined>, joining: ReadonlyMap<string, Position | null>): ReadonlyMap<string, Position | undefined> {
  return new Map([...told].map(([lane, fence]) => [lane, joining.get(lane) ?? fence]));
}

export function segmentLanes(pipeline: Pipeline): readonly string[] {
  return lanesOf(pipeline).flatMap(({ name, reads }) => (reads === 'segments' ? [name] : []));
}

function beginning(pipeline: Pipeline, fences: Fences): Start {
  const asked = needed(pipeline, fences);
  const start = smallestOf(asked);
  const without = [...asked].flatMap(([lane, fence]) => (fence === undefined ? [lane] : []));
  if (start === undefined) throw new ConfigurationError(`The spool of ${pipeline.name} is empty, and ${without.join(', ')} cannot say how far it is: its destination has no fence. ${loadAnew(pipeline.name)}`);
  return { start, after: undefined, reached: greatestOf(fences)!, fences };
}

/** E1: what is read under an older epoch lies below every fence: each lane would believe to have it, and the source would be told to forget it. */
function assertKnownLoad({ pipeline: { name }, epoch }: CaptureStart, reached: Position): void {
  const { epoch: last } = parsePosition(reached);
  if (last > epoch) throw new ConfigurationError(`The spool or a destination of pipeline ${name} is at position ${reached}, of load ${last}, and the state database knows of load ${epoch} only. Was it restored to an earlier time? Restore it to a later one and type ./sluice resume ${name}, or start over. ${loadAnew(name)}`);
}

type Fences = ReadonlyMap<string, Position | undefined>;

async function fencesOf({ pipeline, lanes = segmentLanes(pipeline), readFence }: Pick<CaptureStart, 'pipeline' | 'lanes' | 'readFence'>): Promise<Fences> {
  return new Map(await Promise.all(lanes.map(async (lane) => [lane, await readFence(lane)] as const)));
}

/** A live structure that was lost is made anew from the panes: it holds up nothing. */
function needed(pipeline: Pipeline, fences: Fences): Fences {
  return new Map([...fences].filter(([lane]) => !isLive(pipeline, lane)));
}

function isLive(pipeline: Pipeline, lane: string): boolean {
  return pipeline.sinks[lane]?.kind === 'redis-live';
}

async function ifItAnswers({ clock, readFence, silent }: Asking, lane: string): Promise<Position | undefined> {
  const answered = new AbortController();
  const isSilent = (): typeof silence => silence;
  const fence = await Promise.race([readFence(lane).catch(isSilent), pause(clock, patienceMs, answered.signal).then(isSilent)]);
  answered.abort();
  if (fence !== silence) return fence;
  silent.add(lane);
  return undefined;
}

const silence: unique symbol = Symbol('no answer');
const patienceMs = 2_000;
