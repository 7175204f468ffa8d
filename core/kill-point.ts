/**
 * Places at which `./sluice chaos` lets a process die or stand still: between a step and what makes it known. A place
 * costs one comparison, which is false unless a process was started for it (workers/arm-kill-points.ts).
 */
export const killPoints = [
  /** A change was received; nothing of it is written yet. */
  'capture/received',
  /** A segment's file is synced under another name; it is not in the chain yet. */
  'spool/synced',
  /** A segment is linked; its directory is not synced, and no lane knows of it. */
  'spool/linked',
  /** A lane has segments in its hands; its sink has seen nothing of them. */
  'lane/handed-over',
  /** Rows are in ClickHouse; its fence row is not. */
  'clickhouse/inserted',
  /** The receiver has accepted a message; the fence does not say so. */
  'http/accepted',
  /** The sink has effects and fence; the lane does not know. */
  'lane/applied',
  /** Every fence has it, and it is on record as confirmed; the source was not told. */
  'capture/acknowledging',
  /** A window's result is computed; the transaction that holds it is not committed. */
  'window/closing',
  /** A relay has published a message; it does not know. */
  'relay/published',
  /** Some chunks of the first load are in some sinks, or of a sink's rewrite in that one. */
  'load/chunk',
  /** Every sink has the first load; the pipeline does not count as loaded. */
  'load/handoff',
  /** A chunk of a backfill has taken its place; the backfill does not know. */
  'backfill/chunk',
  /** The pipeline is another one, or has other lanes, and its workflow does not know; or whoever asked for it does not. */
  'redefine/taking-over',
  'redefine/taken-over',
  /** New lanes have all rows and their fences; nobody knows. */
  'redefine/lanes-filled',
  /** A destroy has dropped the slot, what a destination has, or the pipeline's rows; it does not know. */
  'destroy/slot',
  'destroy/destination',
  'destroy/state',
] as const;

export type KillPoint = (typeof killPoints)[number];

type StrikeThere = (lane: string | undefined) => void;

let armed: KillPoint | undefined;
let left = 0;
let strike: StrikeThere = () => {};

/** `strikeThere` is called when the process passes this point once more than `passes` times, once; undefined disarms. */
export function armKillPoint(point: KillPoint | undefined, passes = 0, strikeThere: StrikeThere = () => {}): void {
  armed = point;
  left = passes;
  strike = strikeThere;
}

/** `lane`: whose work it is, where several pass the same point. */
export function killPoint(point: KillPoint, lane?: string): void {
  if (point !== armed || left-- > 0) return;
  armed = undefined;
  strike(lane);
}
