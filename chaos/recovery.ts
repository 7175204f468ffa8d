import { type Lsn, parseLsn, parsePosition } from '../core/position.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

export type Recovery = {
  /** Until the fence of every lane that reads segments had moved. */
  readonly seconds: number;
  /** Until every lane had what was in the source when the cause was over. */
  readonly caughtUpSeconds: number;
  /** When each lane's fence moved. */
  readonly lanes: Readonly<Record<string, number>>;
};

/**
 * From now, when the cause is over. A fence that was lost counts as moved when it is there again. Relays only move when
 * something is published, so they are left out. `mayStand`: lanes that need not move, asked while some do not.
 */
export async function recovered(world: World, signal: AbortSignal, timeoutMs: number, mayStand: () => Promise<readonly string[]> = async () => []): Promise<Recovery> {
  const startedAt = performance.now();
  const before = await world.fences.read();
  const moved: Record<string, number> = {};
  const caughtUp: Record<string, number> = {};
  let end: Lsn | undefined;
  const done = async () => {
    end ??= parseLsn((await world.source.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')).rows[0]!.lsn);
    for (const [lane, fence] of await world.fences.read()) {
      if (fence === undefined) continue;
      const seconds = (performance.now() - startedAt) / 1000;
      if (fence > (before.get(lane) ?? '')) moved[lane] ??= seconds;
      if (lane in moved && parsePosition(fence).lsn >= end) caughtUp[lane] ??= seconds;
    }
    // a fault beside this one may have taken some away
    const behind = world.fences.lanes.filter((lane) => before.has(lane) && !(lane in caughtUp));
    if (behind.length === 0) return true;
    const excused = await mayStand();
    const standing = behind.filter((lane) => !(lane in moved) && !excused.includes(lane));
    if (standing.length > 0) throw new Error(`${standing.join(', ')} did not move`);
    const late = behind.filter((lane) => !excused.includes(lane));
    if (late.length > 0) throw new Error(`${late.join(', ')} moved, and did not reach what had been committed by then`);
    return true;
  };
  await until('every lane to recover', done, { timeoutMs, everyMs: 50, signal });
  return { seconds: Math.max(0, ...Object.values(moved)), caughtUpSeconds: Math.max(0, ...Object.values(caughtUp)), lanes: moved };
}
