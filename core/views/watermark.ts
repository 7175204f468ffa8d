import type { Settings } from '../pipeline.ts';

/**
 * What is open and closed at a clock. The clock is the running maximum of what complete transactions say of event time;
 * the watermark is the clock less the delay (E13). Everything here is a function of the clock alone, so it moves at the
 * same places of the stream however segments are cut (I6). Times in milliseconds since 1970; -Infinity: nothing yet.
 */
export type Bounds = {
  /** Windows that end at or before this are published. A multiple of the pane length. */
  readonly closesUpToMs: number;
  /** Panes that begin before this are closed for good: what still comes for them is late. A multiple of the pane length. */
  readonly closedBeforeMs: number;
};

export type LatenessSettings = Pick<Settings, 'watermarkDelayMs' | 'allowedLatenessMs'>;

/** In microseconds. `loaded`: at the end of the first load; what it had passed was published as final (E28). */
export type Clocks = { readonly clock: number; readonly loaded: number };

export const noClock = Number.NEGATIVE_INFINITY;

export function boundsAt({ clock, loaded }: Clocks, paneMs: number, { watermarkDelayMs, allowedLatenessMs }: LatenessSettings): Bounds {
  const paneUs = paneMs * 1000;
  const down = (us: number) => Math.floor(us / paneUs) * paneMs;
  const watermark = clock - watermarkDelayMs * 1000;
  return {
    closesUpToMs: down(watermark),
    closedBeforeMs: Math.max(down(watermark - allowedLatenessMs * 1000), down(loaded - watermarkDelayMs * 1000)),
  };
}

/** Panes that begin then or before are over in a rolling window, whatever its end has been rounded to. `clock`: microseconds. */
export function shownAfterMs(clock: number, sizeMs: number, paneMs: number): number {
  return Math.floor(clock / 1000) - sizeMs - paneMs;
}

/** The least clock above `clock` at which the bounds of a pane length change. */
export function nextChange(clock: number, paneMs: number, { watermarkDelayMs, allowedLatenessMs }: LatenessSettings): number {
  if (clock === noClock) return noClock;
  const paneUs = paneMs * 1000;
  const after = (offsetUs: number) => (Math.floor((clock - offsetUs) / paneUs) + 1) * paneUs + offsetUs;
  return Math.min(after(watermarkDelayMs * 1000), after((watermarkDelayMs + allowedLatenessMs) * 1000));
}
