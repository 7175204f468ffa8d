import type { Position } from '../position.ts';
import type { PaneRange } from './fold.ts';
import type { PaneSet } from './panes.ts';

/**
 * Panes that a backfill computes anew from the source while the stream goes on (E18): those of some sets that begin in a
 * range. What was done is no longer in the range.
 */
export type Rebuilding = PaneRange & {
  /** Whose it is. */
  readonly backfill: string;
  /** Names of pane sets. */
  readonly sets: readonly string[];
  /** The source's table was emptied here: a snapshot from before shows rows that are gone (E8). */
  readonly voidBelow?: Position;
  /** They are only compared, and stay as they are; another text each time that they are marked. Whoever computes any of them anew takes the mark away. */
  readonly compares?: string;
  /** They are new: they have had no events before the mark, and no window over them is said until they are complete. Whoever added them fills them. */
  readonly fills?: true;
  /** Nobody has asked for it: a backfill that somebody asks for, and that overlaps, ends it. */
  readonly yields?: true;
};

/** Something is left to do. */
export function isOpen({ fromMs, toMs }: PaneRange): boolean {
  return fromMs < toMs;
}

/** Those that put others in the place of panes, or will. */
export function replacing(all: readonly Rebuilding[]): readonly Rebuilding[] {
  return all.filter((each) => isOpen(each) && each.compares === undefined);
}

export function overlaps(one: PaneRange, other: PaneRange): boolean {
  return one.fromMs < other.toMs && other.fromMs < one.toMs;
}

/** All of a set whose changes are kept, and what may be between. */
export function rebuildingOf(all: readonly Rebuilding[], set: Pick<PaneSet, 'name'>): PaneRange | undefined {
  const own = all.filter((each) => isOpen(each) && each.sets.includes(set.name));
  if (own.length === 0) return undefined;
  return { fromMs: Math.min(...own.map(({ fromMs }) => fromMs)), toMs: Math.max(...own.map(({ toMs }) => toMs)) };
}

/** The least range of whole panes of every set that has all of a time in it. */
export function wholePanes({ fromMs, toMs }: PaneRange, sets: readonly Pick<PaneSet, 'paneMs'>[]): PaneRange {
  const length = sets.map(({ paneMs }) => paneMs).reduce(leastCommonMultiple, 1);
  return { fromMs: Math.floor(fromMs / length) * length, toMs: Math.ceil(toMs / length) * length };
}

/** The first piece of a range of whole panes: at most `longestMs` of it, or the shortest that is whole panes of every set. */
export function firstChunk({ fromMs, toMs }: PaneRange, sets: readonly Pick<PaneSet, 'paneMs'>[], longestMs: number): PaneRange {
  const length = sets.map(({ paneMs }) => paneMs).reduce(leastCommonMultiple, 1);
  return { fromMs, toMs: Math.min(toMs, fromMs + Math.max(length, Math.floor(longestMs / length) * length)) };
}

/**
 * How long pieces of replaced panes are: windows over all of its panes are made in the transaction of a piece, which costs something by itself.
 * `emptyMs`: of those for which there is nothing. Rows alone have no panes, and are in no pieces.
 */
export function pieceLimits(sets: readonly Pick<PaneSet, 'paneMs'>[]): { readonly shortestMs: number; readonly longestMs: number; readonly emptyMs: number } {
  const shortestPane = Math.min(...sets.map(({ paneMs }) => paneMs));
  return { shortestMs: 5 * shortestPane, longestMs: 50 * shortestPane, emptyMs: 500 * shortestPane };
}

/** How long the next piece is to be, when one of a length had `amount` (rows, or milliseconds of work) and `wanted` is aimed at: four times as long at most. */
export function nextLength(lengthMs: number, amount: number, wanted: number): number {
  return lengthMs * Math.min(4, wanted / Math.max(1, amount));
}

function leastCommonMultiple(a: number, b: number): number {
  return (a / greatestCommonDivisor(a, b)) * b;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
