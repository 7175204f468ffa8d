import { BadInput } from './bad-input.ts';
import type { Pipeline, Text } from './pipeline.ts';
import type { Difference } from './verification.ts';
import type { PaneRange } from './views/fold.ts';
import { paneSetsOf } from './views/pane-sets.ts';
import { isOpen, wholePanes } from './views/rebuilding.ts';

/** What a reconcile is asked for. */
export type ReconcileRequest = {
  readonly pipeline: string;
  /** Closed windows of this time; missing: what is due. */
  readonly range?: PaneRange;
  /** How far apart those are that begin by themselves: so much of what is old is due each time, and no such run lasts longer than half of it. */
  readonly everyMs: number;
  /** What differs is computed, said or made anew, and compared again. */
  readonly repair: boolean;
  /** At most so many rows of the source are read a second; null: as fast as it goes. */
  readonly rowsPerSecond: number | null;
};

/** Rows are told apart by the shortest panes that there are; without views, by minutes. */
export function sliceMs(pipeline: Pick<Pipeline<Text>, 'views'>): number {
  const lengths = paneSetsOf(pipeline).map(({ paneMs }) => paneMs);
  return lengths.length === 0 ? 60_000 : Math.min(...lengths);
}

/** Ranges begin and end at multiples of this: they are whole panes of every set. */
export function rangeLengthMs(pipeline: Pick<Pipeline<Text>, 'views'>): number {
  const sets = paneSetsOf(pipeline);
  return sets.length === 0 ? sliceMs(pipeline) : wholePanes({ fromMs: 1, toMs: 2 }, sets).toMs;
}

/** Without a range: what is due to one that is the first. Throws BadInput with what to ask for instead. */
export function reconcileRequest({ name, settings }: Pick<Pipeline<Text>, 'name' | 'settings'>, { fromMs, toMs, repair = false }: { readonly fromMs?: number | undefined; readonly toMs?: number | undefined; readonly repair?: boolean | undefined }, nowMs: number): ReconcileRequest {
  const request = { pipeline: name, everyMs: settings.reconcileEveryMs || hourMs, repair, rowsPerSecond: null };
  if (fromMs === undefined && toMs === undefined) return request;
  if (fromMs === undefined || toMs === undefined) throw new BadInput('A range has a beginning and an end: give both, or neither, and what closed of late is compared.');
  const time = (ms: number) => new Date(ms).toISOString();
  if (fromMs >= toMs) throw new BadInput(`The range begins at ${time(fromMs)}, which is not before its end, ${time(toMs)}: there is nothing between them.`);
  if (toMs > nowMs) throw new BadInput(`The range ends at ${time(toMs)}, which has not come yet. Only windows that have closed are compared: ask for an earlier end.`);
  return { ...request, range: { fromMs, toMs } };
}

/** The ranges of a run that nobody asked for: what closed since the last one, and a piece of what is older. */
export type DueRanges = { readonly fresh: PaneRange; readonly older: PaneRange };

/** Where the next one begins: everything from there to `closedMs` was compared, and pieces of what is older down to `olderMs`. */
export type Due = { readonly closedMs: number; readonly olderMs: number };

/**
 * What has closed since the last run, a day at most, and backwards from there a piece as long as the time between two runs,
 * another one each time: so everything that is kept is looked at again, in as long as it is kept. `lengthMs`: of whole panes.
 */
export function dueRanges({ closedMs, horizonMs, everyMs, lengthMs, isCheap }: { closedMs: number; horizonMs: number; everyMs: number; lengthMs: number; /** Reading a piece does not mean reading the whole table. */ isCheap: boolean }, last: Due | undefined): DueRanges {
  const up = (ms: number) => Math.ceil(ms / lengthMs) * lengthMs;
  const closed = Math.floor(closedMs / lengthMs) * lengthMs;
  const fresh = { fromMs: Math.min(closed, up(Math.max(horizonMs, closed - dayMs, last?.closedMs ?? closed - everyMs))), toMs: closed };
  // what is trimmed within the hour need not be compared
  const oldest = up(horizonMs + hourMs);
  const toMs = last && last.olderMs > oldest ? Math.min(last.olderMs, fresh.fromMs) : fresh.fromMs;
  const older = isCheap ? { fromMs: Math.min(toMs, Math.max(oldest, up(toMs - everyMs))), toMs } : { fromMs: toMs, toMs };
  return { fresh, older };
}

export function nextDue({ fresh, older }: DueRanges, left: readonly PaneRange[]): Due {
  const within = (range: PaneRange) => left.filter(({ fromMs, toMs }) => fromMs >= range.fromMs && toMs <= range.toMs && isOpen(range));
  const [freshLeft] = within(fresh);
  return { closedMs: freshLeft?.fromMs ?? fresh.toMs, olderMs: within(older).length > 0 ? older.toMs : older.fromMs };
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** What brings windows back to what they should be. */
export type Mend =
  | { readonly tag: 'views'; readonly views: readonly string[] }
  | { readonly tag: 'rows' }
  | { readonly tag: 'say'; readonly view: string }
  | { readonly tag: 'live' }
  | { readonly tag: 'none' };

/** What was found of one sink. */
export type Compared = {
  readonly sink: string;
  readonly what: string;
  /** How many were compared; of panes and rows these are panes, the smallest windows that there are. */
  readonly windows: number;
  readonly different: number;
  /** Those that differ, as time: ascending and apart. Of longer windows, which end in it. */
  readonly differing: readonly PaneRange[];
  /** The first of them, by key. */
  readonly differences: readonly Difference[];
  readonly mend: Mend;
  readonly note?: string;
  /** Why it, or some of it, could not be compared. */
  readonly problem?: string;
};

/** So many differences of a sink are named. */
export const mostNamed = 20;
/** So many ranges of a sink are told apart. */
const mostRanges = 200;

/** What was found of one range, and then of another one. */
export function bothCompared(before: readonly Compared[], after: readonly Compared[]): readonly Compared[] {
  const isSame = (one: Compared, other: Compared) => one.sink === other.sink && one.what === other.what;
  return [
    ...before.map((one) => {
      const other = after.find((each) => isSame(each, one));
      if (!other) return one;
      const [note, problem] = [other.note ?? one.note, one.problem ?? other.problem];
      return {
        ...one,
        windows: one.windows + other.windows,
        different: one.different + other.different,
        differing: fewer(joinedRanges([...one.differing, ...other.differing]), mostRanges),
        differences: [...one.differences, ...other.differences].slice(0, mostNamed),
        // one that could not be compared at first
        mend: one.mend.tag === 'none' ? other.mend : one.mend,
        ...(note === undefined ? {} : { note }),
        ...(problem === undefined ? {} : { problem }),
      };
    }),
    ...after.filter((other) => !before.some((one) => isSame(one, other))),
  ];
}

/** The ranges of windows that begin then; ascending. */
export function rangesOf(starts: readonly number[], lengthMs: number): readonly PaneRange[] {
  return joinedRanges(starts.map((fromMs) => ({ fromMs, toMs: fromMs + lengthMs })));
}

/** Those that overlap or touch are one. */
export function joinedRanges(ranges: readonly PaneRange[]): readonly PaneRange[] {
  const joined: { fromMs: number; toMs: number }[] = [];
  for (const { fromMs, toMs } of ranges.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const last = joined.at(-1);
    if (last && fromMs <= last.toMs) last.toMs = Math.max(last.toMs, toMs);
    else joined.push({ fromMs, toMs });
  }
  return joined;
}

/** At most so many ranges, ascending and apart: those that are nearest to each other become one. */
export function fewer(ranges: readonly PaneRange[], most: number): readonly PaneRange[] {
  if (ranges.length <= most) return ranges;
  const gaps = ranges.slice(1).map(({ fromMs }, index) => ({ index: index + 1, ms: fromMs - ranges[index]!.toMs }));
  const kept = new Set(gaps.toSorted((a, b) => b.ms - a.ms).slice(0, most - 1).map(({ index }) => index));
  const some: { fromMs: number; toMs: number }[] = [];
  for (const [index, { fromMs, toMs }] of ranges.entries()) {
    if (index === 0 || kept.has(index)) some.push({ fromMs, toMs });
    else some.at(-1)!.toMs = toMs;
  }
  return some;
}

/** What is compared again after a repair: all that differed, and windows that reach over it. */
export function againRanges(pipeline: Pick<Pipeline<Text>, 'views'>, differing: readonly PaneRange[], closedMs: number): readonly PaneRange[] {
  const lengthMs = rangeLengthMs(pipeline);
  const longestMs = Math.max(0, ...Object.values(pipeline.views).map(({ window: { sizeMs, everyMs } }) => sizeMs - everyMs));
  const closed = Math.floor(closedMs / lengthMs) * lengthMs;
  const whole = differing.map(({ fromMs, toMs }) => ({ fromMs: Math.floor(fromMs / lengthMs) * lengthMs, toMs: Math.min(closed, Math.ceil((toMs + longestMs) / lengthMs) * lengthMs) }));
  return fewer(joinedRanges(whole.filter(isOpen)), mostRanges);
}

/** Everything that differs, and what to do about it. */
export type Repairs = {
  /** Ranges that a backfill computes anew, each with its views and sinks. */
  readonly backfills: readonly (PaneRange & { readonly views: readonly string[]; readonly sinks: readonly string[] })[];
  /** Windows of views, by the ranges that they end in, that are said anew. */
  readonly say: readonly { readonly view: string; readonly ranges: readonly PaneRange[] }[];
  /** Lanes whose structures are made anew. */
  readonly live: readonly string[];
};

export function repairsOf(compared: readonly Compared[]): Repairs {
  const backfills = new Map<string, { fromMs: number; toMs: number; views: string[]; sinks: string[] }>();
  const say: Repairs['say'][number][] = [];
  const live: string[] = [];
  for (const { sink, differing, mend } of compared) {
    if (differing.length === 0) continue;
    if (mend.tag === 'say') say.push({ view: mend.view, ranges: differing });
    if (mend.tag === 'live' && !live.includes(sink)) live.push(sink);
    if (mend.tag !== 'views' && mend.tag !== 'rows') continue;
    for (const { fromMs, toMs } of fewer(differing, mostBackfills)) {
      const key = `${fromMs} ${toMs}`;
      const backfill = backfills.get(key) ?? { fromMs, toMs, views: [], sinks: [] };
      if (mend.tag === 'views') backfill.views.push(...mend.views);
      else backfill.sinks.push(sink);
      backfills.set(key, backfill);
    }
  }
  return { backfills: [...backfills.values()].sort((a, b) => a.fromMs - b.fromMs), say, live };
}

/** Of one sink; each is a snapshot, and its history must stay small. */
const mostBackfills = 10;
