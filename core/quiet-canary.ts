import type { Settings } from './pipeline.ts';

/** Of a quiet stream one canary in so many is sent: ten seconds between them, by default. */
export const quietCanaries = 5;

/** Without an event for so long, all windows of up to a minute are closed; what is longer closes up to these ten seconds late. */
export function quietAfterMs({ watermarkDelayMs, allowedLatenessMs }: Settings): number {
  return watermarkDelayMs + allowedLatenessMs + 60_000;
}
