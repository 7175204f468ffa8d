import type { Position } from '../core/position.ts';
import type { HoldReport } from './messages.ts';

/** Lanes that are being brought to one position and kept there. Part of a run's memory. */
export type Hold = {
  /** Of whoever asked for it; missing if that was an earlier release, a person, or a drain. */
  readonly id?: string | undefined;
  /** Missing while it is being chosen: only the capture stands still, so that no lane passes it meanwhile. */
  readonly position?: Position | undefined;
  /** The capture stands still for it. */
  captureHeld?: boolean;
  readonly deadlineMs: number;
  /** Lanes that are on their way. */
  readonly waiting: Record<string, true>;
  readonly held: Record<string, string>;
  readonly notHeld: Record<string, string>;
};

export function beginHold(position: Position | undefined, lanes: readonly string[], deadlineMs: number): Hold {
  return { position, deadlineMs, waiting: Object.fromEntries(lanes.map((lane) => [lane, true as const])), held: {}, notHeld: {} };
}

/** More than can still be asked for late. */
const mostReleased = 32;

/** The ids of holds that are over, newest last: what was asked for before its release may be heard of only after it. */
export function withReleased(before: readonly string[], ids: readonly string[]): readonly string[] {
  return [...before.filter((id) => !ids.includes(id)), ...ids].slice(-mostReleased);
}

export function isSettled(hold: Hold): boolean {
  return Object.keys(hold.waiting).length === 0;
}

/** Lanes that still wait were not brought there in time. */
export function holdReport({ position, waiting, held, notHeld }: Hold, why: string): HoldReport {
  const late = Object.fromEntries(Object.keys(waiting).map((lane) => [lane, why]));
  return { position: position ?? null, held: { ...held }, notHeld: { ...notHeld, ...late } };
}
