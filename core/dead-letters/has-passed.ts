import { parsePosition, type Position } from '../position.ts';

/** Whether a fence is behind an event, in the stream of one load: what an older stream had, a newer load has (E28). */
export function hasPassed(fence: Position | undefined, event: Position): fence is Position {
  return fence !== undefined && event <= fence && parsePosition(event).epoch === parsePosition(fence).epoch;
}
