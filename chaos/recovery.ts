import type { World } from './world.ts';
import { until } from './until.ts';

/** Seconds until each lane that reads segments had moved its fence. */
export type Recovery = { readonly seconds: number; readonly lanes: Readonly<Record<string, number>> };

/**
 * From now, when the cause is over, until the fence of every lane has moved beyond where it is now. A fence that was lost
 * counts as moved when it is there again. Relays only move when something is published, so they are left out.
 */
export async function recovered(world: World, signal: AbortSignal, timeoutMs: number): Promise<Recovery> {
  const startedAt = performance.now();
  const before = await world.fences.read();
  const lanes: Record<string, number> = {};
  const moved = async () => {
    for (const [lane, fence] of await world.fences.read()) {
      if (fence !== undefined && fence > (before.get(lane) ?? '')) lanes[lane] ??= (performance.now() - startedAt) / 1000;
    }
    const standing = [...before.keys()].filter((lane) => !(lane in lanes));
    if (standing.length > 0) throw new Error(`${standing.join(', ')} did not move`);
    return true;
  };
  await until('every fence to move', moved, { timeoutMs, everyMs: 50, signal });
  return { seconds: Math.max(...Object.values(lanes)), lanes };
}
