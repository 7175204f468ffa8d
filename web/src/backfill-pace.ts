import type { Backfill } from './protocol.ts';

/** A moment from which on one has run without a pause, and how far it was then. */
export type PaceBase = { readonly atMs: number; readonly rows: number; readonly doneToMs: number };

export type Pace = {
  readonly rowsPerSecond: number | null;
  /** Null: not known yet. */
  readonly leftMs: number | null;
};

/**
 * A pause must not count as slowness: one that stands still is measured from here on. Of pauses before this page was
 * opened it knows nothing; then the whole time counts, as in `./sluice backfill list`.
 */
export function paceBase(before: PaceBase | undefined, backfill: Backfill, nowMs: number): PaceBase {
  const { state, from, rows, started } = backfill;
  if (state !== 'running') return { atMs: nowMs, rows, doneToMs: doneToMs(backfill) };
  return before ?? { atMs: Date.parse(started), rows: 0, doneToMs: Date.parse(from) };
}

export function pace(base: PaceBase, backfill: Backfill, nowMs: number): Pace {
  const elapsedMs = nowMs - base.atMs;
  if (backfill.state !== 'running' || elapsedMs < leastMs) return { rowsPerSecond: null, leftMs: null };
  const done = doneToMs(backfill);
  const leftMs = Math.max(0, Date.parse(backfill.to) - done);
  // little progress foretells nothing
  const isTelling = done > base.doneToMs && doneShare(backfill) > 0.01;
  return {
    // a step that was broken off reads its chunk again
    rowsPerSecond: (Math.max(0, backfill.rows - base.rows) * 1_000) / elapsedMs,
    leftMs: isTelling ? (leftMs * elapsedMs) / (done - base.doneToMs) : null,
  };
}

/** 0 to 1, of its time. What it computes are whole panes, which may reach beyond what was asked for. */
export function doneShare(backfill: Backfill): number {
  const [from, to] = [Date.parse(backfill.from), Date.parse(backfill.to)];
  if (backfill.state === 'done' || to <= from) return 1;
  return Math.min(1, Math.max(0, (doneToMs(backfill) - from) / (to - from)));
}

export function isGoingOn({ state }: Backfill): boolean {
  return state === 'running' || state === 'paused';
}

/** One range may have been computed more than once. */
export function backfillKey({ workflowId, started }: Backfill): string {
  return `${workflowId} ${started}`;
}

/** Those that go on, and the last few that ended; newest first. */
export function shownBackfills(backfills: readonly Backfill[]): readonly Backfill[] {
  const newest = backfills.toSorted((a, b) => Date.parse(b.started) - Date.parse(a.started));
  return [...newest.filter(isGoingOn), ...newest.filter((each) => !isGoingOn(each)).slice(0, mostEnded)];
}

function doneToMs({ doneTo, from }: Backfill): number {
  return Date.parse(doneTo ?? from);
}

const mostEnded = 3;
const leastMs = 1_000;
