import { parseDuration } from './define/duration.ts';
import type { Settings } from './pipeline.ts';

/** How often a step tells Temporal that it lives (E26): where nobody pays for it, and where each time is an action that costs money. */
export const heartbeats = ['1s', '10s'] as const;
export type Heartbeat = (typeof heartbeats)[number];

/** A pipeline's own setting wins over the instance's. */
export function heartbeatMsOf({ heartbeatMs }: Pick<Settings, 'heartbeatMs'>, instance: Heartbeat): number {
  return heartbeatMs ?? parseDuration(instance, 'the heartbeat');
}

/** Above it a pause would wait too long for the heartbeat that brings it: steps are told through the state database as well. */
const longestUntoldMs = 1_000;

export function isToldToStop(heartbeatMs: number): boolean {
  return heartbeatMs > longestUntoldMs;
}

/** Each beat costs what a step costs (E26), but far less work: where beats are rare, a step is six of them. */
export function stepMsOf({ stepMs }: Pick<Settings, 'stepMs'>, heartbeatMs: number): number {
  return isToldToStop(heartbeatMs) ? Math.max(stepMs, 6 * heartbeatMs) : stepMs;
}

/**
 * To begin a capture costs a connection, a claim and the dimensions, so its steps are longer. Not too long: each asks the sinks
 * where they are, and what one that was set back meanwhile needs must still be in the spool.
 */
export function captureStepMsOf(stepMs: number): number {
  return Math.max(stepMs, Math.min(30 * stepMs, 300_000));
}
