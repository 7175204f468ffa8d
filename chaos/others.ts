import { until } from './until.ts';
import type { World } from './world.ts';

/** Longer than lanes rest between two canaries. */
const moveMs = 20_000;

/** Throws unless every lane of another destination goes on meanwhile; not asked when another fault overlaps. */
export async function othersGoOn({ fences, pipeline }: World, destination: string, signal: AbortSignal): Promise<string> {
  const isSick = (lane: string) => pipeline.sinks[lane]?.kind.startsWith(destination) ?? false;
  const before = await fences.read();
  const others = [...before.keys()].filter((lane) => !isSick(lane));
  const moved = async () => {
    const now = await fences.read();
    const standing = others.filter((lane) => !((now.get(lane) ?? '') > (before.get(lane) ?? '')));
    if (standing.length > 0) throw new Error(`${standing.join(', ')} did not`);
    return true;
  };
  await until('the lanes of other destinations to go on', moved, { timeoutMs: moveMs, everyMs: 200, signal });
  return `; meanwhile ${others.join(', ')} went on`;
}
