import type { Position } from '../../core/position.ts';

/**
 * Keeps a capture from running away from its lanes while they catch up: as long as the foremost lane moves, there is no
 * use in being further ahead of it than memory holds, for all lanes would have to read from disk what was just written
 * there. Lanes that stand still (paused, their sinks down) hold up nothing: then the spool takes everything.
 */
export class LanePace {
  readonly #bytesAfter: (position: Position) => number;
  #foremost: Position | undefined;
  #movedAt = Number.NEGATIVE_INFINITY;
  #ahead = false;

  constructor(bytesAfter: (position: Position) => number) {
    this.#bytesAfter = bytesAfter;
  }

  /** `nowMs`: of a clock that does not jump. */
  isAhead(foremost: Position | undefined, nowMs: number): boolean {
    const bytes = foremost === undefined ? 0 : this.#bytesAfter(foremost);
    // one that has everything waits for us: what comes now, after however long, it has not been given yet
    if (foremost !== this.#foremost || bytes === 0) {
      this.#foremost = foremost;
      this.#movedAt = nowMs;
    }
    if (nowMs - this.#movedAt > standsStillMs) return (this.#ahead = false);
    this.#ahead = bytes > (this.#ahead ? goOnBytes : waitBytes);
    return this.#ahead;
  }
}

const waitBytes = 20 << 20;
/** More than lanes gather while more is on its way (lane-loop.ts). */
export const goOnBytes = 12 << 20;
const standsStillMs = 2_000;
