import type { Position } from '../../core/position.ts';

type Fences = ReadonlyMap<string, Position | undefined>;

/** Undefined while one of them is not known. */
export function smallestOf(fences: Fences): Position | undefined {
  let smallest: Position | undefined;
  for (const fence of fences.values()) {
    if (fence === undefined) return undefined;
    if (smallest === undefined || fence < smallest) smallest = fence;
  }
  return smallest;
}

/** Of those that are known. */
export function greatestOf(fences: Fences): Position | undefined {
  let greatest: Position | undefined;
  for (const fence of fences.values()) if (fence !== undefined && (greatest === undefined || fence > greatest)) greatest = fence;
  return greatest;
}
