import type { Settings } from './pipeline.ts';

/** Of a quiet stream one canary in so many is sent: ten seconds between them, by default. */
export const quietCanaries = 5;

/** Without an event for so long, all windows are closed: nothing waits for the idle clock but what slides over minutes. */
export function quietAfterMs({ watermarkDelayMs, allowedLatenessMs }: Settings): number {
  return watermarkDelayMs + allowedLatenessMs + 60_000;
}
