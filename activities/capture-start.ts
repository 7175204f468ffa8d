import { ConfigurationError } from '../connectors/sink.ts';
import type { SegmentLog } from '../connectors/spool/segment-log.ts';
import { lanesOf } from '../core/define/lanes.ts';
import { loadAnew } from '../core/load-anew.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { Position } from '../core/position.ts';

export type CaptureStart = {
  readonly pipeline: Pipeline;
  readonly log: Pick<SegmentLog, 'tail'>;
  /** Where the last load ended. */
  readonly loadedAt: Position | undefined;
  /** Of a lane that reads segments: asked of its destination. */
  readonly readFence: (lane: string) => Promise<Position | undefined>;
};

/**
 * Where a capture goes on: at the spool's tail; a spool from before the last load is continued where that load ended
 * (E28). If the spool is empty, or was lost, where the sink that is furthest behind is (E5).
 */
export async function captureStart({ pipeline, log, loadedAt, readFence }: CaptureStart): Promise<Position> {
  const tail = (await log.tail())?.to;
  if (tail === undefined) return smallestFence(pipeline, readFence);
  return loadedAt !== undefined && loadedAt > tail ? loadedAt : tail;
}

export function segmentLanes(pipeline: Pipeline): readonly string[] {
  return lanesOf(pipeline).flatMap(({ name, reads }) => (reads === 'segments' ? [name] : []));
}

async function smallestFence(pipeline: Pipeline, readFence: CaptureStart['readFence']): Promise<Position> {
  // a live structure that was lost is made anew from the panes: it holds up nothing
  const needed = segmentLanes(pipeline).filter((lane) => pipeline.sinks[lane]?.kind !== 'redis-live');
  const fences = await Promise.all(needed.map(async (lane) => ({ lane, fence: await readFence(lane) })));
  const without = fences.filter(({ fence }) => fence === undefined).map(({ lane }) => lane);
  if (without.length > 0) throw new ConfigurationError(`The spool of ${pipeline.name} is empty, and ${without.join(', ')} cannot say how far it is: its destination has no fence. ${loadAnew(pipeline.name)}`);
  return fences.map(({ fence }) => fence!).toSorted()[0]!;
}
