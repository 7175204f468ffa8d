import type { Lsn } from './position.ts';
import { parseLsn } from './position.ts';

/**
 * Where the server left a timeline that it was promoted away from: nothing at or above that LSN of it is in the present
 * one. `history`: the file that TIMELINE_HISTORY gives, a line a timeline: its number, the LSN, a reason. Undefined: the
 * present timeline does not come from that one.
 */
export function switchPoint(history: string, timeline: number): Lsn | undefined {
  for (const line of history.split('\n')) {
    const [number, lsn] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (number === String(timeline) && lsn !== undefined) return parseLsn(lsn);
  }
  return undefined;
}
