import type { CaptureOptions } from '../connectors/postgres/capture.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import type { Appender, SegmentLog } from '../connectors/spool/segment-log.ts';
import { lanesOf } from '../core/define/lanes.ts';
import { loadAnew } from '../core/load-anew.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { Position } from '../core/position.ts';

export type CaptureStart = {
  readonly pipeline: Pipeline;
  readonly log: Pick<SegmentLog & Appender, 'tail' | 'oldest' | 'startOver'>;
  /** Where the last load ended. */
  readonly loadedAt: Position | undefined;
  /** Up to here the source was told to forget. */
  readonly confirmedTo: Position | undefined;
  /** Of a lane that reads segments: asked of its destination. */
  readonly readFence: (lane: string) => Promise<Position | undefined>;
};

/**
 * Where a capture goes on: at the spool's tail; a spool from before the last load is continued where that load ended
 * (E28). If the spool is empty, or was lost, where the sink that is furthest behind is (E5). So it is too if the spool
 * begins above that sink, and the source still has what is between. `reached` is the greatest position that the spool or
 * any sink has.
 */
export async function captureStart({ pipeline, log, loadedAt, confirmedTo, readFence }: CaptureStart): Promise<Pick<CaptureOptions, 'start' | 'after' | 'reached'>> {
  const fences = await neededFences(pipeline, readFence);
  const known = fences.flatMap(({ fence }) => fence ?? []).toSorted();
  const smallest = known.length === fences.length ? known[0] : undefined;
  const [after, oldest] = [await log.tail(), await log.oldest()];
  if (!after || !oldest) {
    const without = fences.filter(({ fence }) => fence === undefined).map(({ lane }) => lane);
    if (smallest === undefined) throw new ConfigurationError(`The spool of ${pipeline.name} is empty, and ${without.join(', ')} cannot say how far it is: its destination has no fence. ${loadAnew(pipeline.name)}`);
    return { start: smallest, after: undefined, reached: known.at(-1)! };
  }
  if (loadedAt !== undefined && loadedAt > after.to) return { start: loadedAt, after, reached: loadedAt };
  const reached = [...known, after.to].toSorted().at(-1)!;
  if (smallest === undefined || smallest >= oldest.from || confirmedTo === undefined || confirmedTo > smallest) return { start: after.to, after, reached };
  await log.startOver();
  return { start: smallest, after: undefined, reached };
}

export function segmentLanes(pipeline: Pipeline): readonly string[] {
  return lanesOf(pipeline).flatMap(({ name, reads }) => (reads === 'segments' ? [name] : []));
}

function neededFences(pipeline: Pipeline, readFence: CaptureStart['readFence']): Promise<{ lane: string; fence: Position | undefined }[]> {
  // a live structure that was lost is made anew from the panes: it holds up nothing
  const needed = segmentLanes(pipeline).filter((lane) => pipeline.sinks[lane]?.kind !== 'redis-live');
  return Promise.all(needed.map(async (lane) => ({ lane, fence: await readFence(lane) })));
}
