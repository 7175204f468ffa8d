import type { Window } from '../../core/pipeline.ts';

export type OpenWindows = {
  /** Windows that have begun and are not computed yet. */
  readonly count: number;
  /** The end of the one that closes next, milliseconds since 1970. */
  readonly nextEndMs: number;
};

/**
 * A window [end - size, end) is open from when the stream's clock reaches its start until the watermark reaches its end;
 * ends are multiples of `everyMs`.
 */
export function openWindows({ sizeMs, everyMs }: Window, watermarkMs: number, watermarkDelayMs: number): OpenWindows {
  const clockMs = watermarkMs + watermarkDelayMs;
  const firstEnd = Math.floor(watermarkMs / everyMs) + 1;
  const lastEnd = Math.floor((clockMs + sizeMs) / everyMs);
  return { count: lastEnd - firstEnd + 1, nextEndMs: firstEnd * everyMs };
}
