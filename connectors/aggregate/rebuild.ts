import { BadInput } from '../../core/bad-input.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { parsePosition, type Position } from '../../core/position.ts';
import { staleRanges, type StaleRange } from '../../core/repair.ts';
import { extremesOf } from '../../core/views/extremes.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import type { PaneDeltas, PaneSet } from '../../core/views/panes.ts';
import { isOpen, overlaps, replacing, wholePanes, type Rebuilding } from '../../core/views/rebuilding.ts';
import { boundsAt, shownAfterMs } from '../../core/views/watermark.ts';
import { Progress } from './progress.ts';
import type { AggregateTransaction } from './tables.ts';
import type { WindowCloser } from './window-closer.ts';

/** Panes of a range as a snapshot of the source has them; by set, all that are marked. */
export type Rebuilt = {
  readonly range: PaneRange;
  /** The snapshot's: everything below it is in the panes, and nothing else. */
  readonly base: Position;
  readonly panes: ReadonlyMap<string, PaneDeltas>;
};

/**
 * behind: the lane has not come to the snapshot yet, or a comparison goes on. void: the table was truncated since, or this is not what is left: to be
 * asked for again, with another snapshot.
 * gone: nothing of it is computed anew any more, because it was ended, its views have other panes by now, or a first load has begun.
 */
export type Replaced = 'done' | 'behind' | 'void' | 'gone';

/**
 * Computes panes anew beside the stream (E18), each step a transaction of the aggregate lane. They are marked first; from
 * then on what changes in them is also kept by transaction. A snapshot that is taken after that mark has everything below
 * its position S, so with what was kept from S on the panes are what the source says, once the lane has passed S.
 */
export class Rebuild {
  readonly #pipeline: Pipeline;
  readonly #sets: readonly PaneSet[];
  readonly #closer: WindowCloser;

  constructor(pipeline: Pipeline, sets: readonly PaneSet[], closer: WindowCloser) {
    this.#pipeline = pipeline;
    this.#sets = sets;
    this.#closer = closer;
  }

  /**
   * Returns the range of whole panes that is marked; what is left of it, if it was before: nothing, if it is done. Throws BadInput with what can be asked for.
   * Those of its time that yield end, if it does not.
   */
  async mark(tables: AggregateTransaction, whose: Pick<Rebuilding, 'backfill' | 'yields'>, views: readonly string[], asked: PaneRange): Promise<PaneRange> {
    const progress = new Progress(await tables.lock());
    const marked = progress.rebuilding.find(({ backfill }) => backfill === whose.backfill);
    if (marked) return rangeOf(marked);
    const mark = await this.#possible(tables, progress, whose, views, asked);
    for (const other of replacing(progress.rebuilding).filter((each) => givesWay(each, mark))) {
      await this.#ended(tables, progress, other);
      // what is not of this one's time is for the next repair
      progress.isStale = true;
    }
    progress.rebuilding = [...progress.rebuilding.filter((each) => each.compares === undefined || !overlaps(each, mark)), mark];
    await progress.finish(tables, undefined);
    return rangeOf(mark);
  }

  /**
   * Marks panes that are only compared: those of every view, in place of what `name` has marked before. From then on what
   * changes in them is kept, until `endCompare`. Throws BadInput likewise, and while a backfill computes anything of that time.
   */
  async compare(tables: AggregateTransaction, name: string, compares: string, asked: PaneRange): Promise<PaneRange> {
    const progress = new Progress(await tables.lock());
    const mark = await this.#possible(tables, progress, { backfill: name, compares }, this.#views, asked);
    progress.rebuilding = [...progress.rebuilding.filter(({ backfill }) => backfill !== name), mark];
    await progress.finish(tables, undefined);
    return rangeOf(mark);
  }

  /** What would be marked. Throws BadInput likewise. */
  async checkCompare(tables: AggregateTransaction, asked: PaneRange): Promise<PaneRange> {
    return rangeOf(await this.#possible(tables, new Progress(await tables.lock()), { backfill: '', compares: '' }, this.#views, asked));
  }

  async endCompare(tables: AggregateTransaction, name: string): Promise<void> {
    const progress = new Progress(await tables.lock());
    progress.rebuilding = progress.rebuilding.filter(({ backfill, compares }) => backfill !== name || compares === undefined);
    await this.#forgetChanges(tables, this.#sets, progress);
    await progress.finish(tables, undefined);
  }

  /** What would be marked. Throws BadInput likewise. */
  async check(tables: AggregateTransaction, whose: Pick<Rebuilding, 'backfill' | 'yields'>, views: readonly string[], asked: PaneRange): Promise<PaneRange> {
    return rangeOf(await this.#possible(tables, new Progress(await tables.lock()), whose, views, asked));
  }

  async #possible(tables: AggregateTransaction, progress: Progress, whose: Pick<Rebuilding, 'backfill' | 'compares' | 'yields'>, views: readonly string[], asked: PaneRange): Promise<Rebuilding> {
    if ((await tables.readFence()) === undefined) throw new BadInput(`Pipeline ${this.#pipeline.name} is not loaded, and its first load computes every window there is. ./sluice status shows whether it is loading; if not: ./sluice apply ${this.#pipeline.name}`);
    const sets = this.#sets.filter((set) => set.views.some(({ name }) => views.includes(name)));
    const mark = { ...wholePanes(asked, sets), ...whose, sets: sets.map(({ name }) => name) };
    if (sets.length > 0) this.#assertKept(mark, progress);
    this.#assertClosed(mark, sets, progress);
    assertFree(this.#pipeline.name, mark, progress);
    return mark;
  }

  /** Closed panes with changes that came too late for them, or that have lost a min or max, and that nobody computes anew; oldest first. */
  async stale(tables: AggregateTransaction): Promise<readonly StaleRange[]> {
    const { clocks, horizonMs, rebuilding } = new Progress(await tables.lock());
    const ranges: StaleRange[] = [];
    for (const set of this.#sets) {
      const { closesUpToMs } = boundsAt(clocks, set.paneMs, this.#pipeline.settings);
      if (!Number.isFinite(closesUpToMs)) continue;
      ranges.push(...staleRanges(set, await stalePanes(tables, set, horizonMs, closesUpToMs), rebuilding));
    }
    return ranges.sort((a, b) => a.fromMs - b.fromMs);
  }

  /** Chunks come in the order of their panes, and none is left out. `onTurn`: nobody is waited for any more. */
  async replace(tables: AggregateTransaction, backfill: string, { range, base, panes }: Rebuilt, onTurn: () => void): Promise<Replaced> {
    if (!(await tables.mayReplace())) return 'behind';
    const progress = new Progress(await tables.lock());
    onTurn();
    const mark = progress.rebuilding.find((each) => each.backfill === backfill);
    // a worker that stood still may come with a snapshot of an earlier load
    if (!mark || isEnded(mark) || parsePosition(base).epoch !== progress.loadEpoch) return 'gone';
    // it was marked for views that are gone since, or have others: what others have with them was not computed
    if (mark.sets.some((name) => !panes.has(name))) return 'gone';
    // another attempt has done it, or goes on elsewhere
    if (range.fromMs !== mark.fromMs || !isOpen(mark)) return 'void';
    if (mark.voidBelow !== undefined && base <= mark.voidBelow) return 'void';
    const fence = await tables.readFence();
    if (fence === undefined || fence < base) return 'behind';

    const sets = this.#sets.filter(({ name }) => mark.sets.includes(name));
    for (const set of sets) {
      await tables.replacePanes(set, range, panes.get(set.name)!, base);
      // by what came above the snapshot: whoever heard of it when it came may have looked while they were left to this, and of new panes nobody has heard
      const closed = Math.min(range.toMs, boundsAt(progress.clocks, set.paneMs, this.#pipeline.settings).closesUpToMs);
      if (closed > range.fromMs) progress.isStale ||= (await stalePanes(tables, set, range.fromMs, closed)).length > 0;
    }
    const rest = { ...mark, fromMs: range.toMs };
    progress.rebuilding = progress.rebuilding.map((each) => (each === mark ? rest : each));
    await this.#closer.rebuilt(tables, progress, fence, sets, range, !isOpen(rest), mark.fills);
    if (!isOpen(rest)) await this.#finished(tables, mark, progress);
    await progress.finish(tables, undefined);
    return 'done';
  }

  /** Whether it was done or not: what was not replaced stays as it is. It is remembered: a worker that stood still must not mark its panes again, for nobody. */
  async end(tables: AggregateTransaction, backfill: string): Promise<void> {
    const progress = new Progress(await tables.lock());
    const mark = progress.rebuilding.find((each) => each.backfill === backfill);
    if (mark?.compares !== undefined) return this.endCompare(tables, backfill);
    await this.#ended(tables, progress, mark ?? { backfill, sets: [], fromMs: 0, toMs: 0 });
    await progress.finish(tables, undefined);
  }

  async #ended(tables: AggregateTransaction, progress: Progress, mark: Rebuilding): Promise<void> {
    const others = progress.rebuilding.filter((each) => each !== mark);
    const ended = others.filter((each) => isEnded(each)).slice(1 - endedKept);
    progress.rebuilding = [...others.filter((each) => !isEnded(each)), ...ended, { backfill: mark.backfill, sets: [], fromMs: 0, toMs: 0 }];
    if (!isOpen(mark)) return;
    await this.#sayStraddling(tables, mark, progress);
    await this.#finished(tables, mark, progress);
  }

  /** Windows that reach from what was done into what was not: each has the last pane that was done. */
  async #sayStraddling(tables: AggregateTransaction, mark: Rebuilding, progress: Progress): Promise<void> {
    const fence = await tables.readFence();
    if (fence === undefined) return;
    for (const set of this.#sets) {
      if (mark.sets.includes(set.name)) await this.#closer.rebuilt(tables, progress, fence, [set], { fromMs: mark.fromMs - set.paneMs, toMs: mark.fromMs }, true);
    }
  }

  async #finished(tables: AggregateTransaction, mark: Rebuilding, progress: Progress): Promise<void> {
    await this.#forgetChanges(tables, this.#sets.filter(({ name }) => mark.sets.includes(name)), progress);
    const lanes = this.#lanesThatShow(mark, progress);
    if (lanes.length > 0) await tables.noteLiveRebuilds(lanes);
  }

  /**
   * Of live structures that are made of panes before its end. One that is behind this lane may show more than is reckoned here, and does so only
   * until it has followed.
   */
  #lanesThatShow({ sets, toMs }: Rebuilding, { clocks }: Progress): readonly string[] {
    return Object.entries(this.#pipeline.sinks).flatMap(([lane, sink]) => {
      if (sink.kind !== 'redis-live') return [];
      const { name: set, paneMs } = this.#sets.find(({ views }) => views.some(({ name }) => name === sink.view))!;
      const { sizeMs } = this.#pipeline.views[sink.view]!.window;
      return sets.includes(set) && toMs > shownAfterMs(clocks.clock, sizeMs, paneMs) ? [lane] : [];
    });
  }

  /** Of those that nobody has marked. */
  async #forgetChanges(tables: AggregateTransaction, sets: readonly PaneSet[], { rebuilding }: Progress): Promise<void> {
    for (const set of sets) if (!rebuilding.some((each) => isOpen(each) && each.sets.includes(set.name))) await tables.forgetChanges(set);
  }

  get #views(): readonly string[] {
    return this.#sets.flatMap(({ views }) => views.map(({ name }) => name));
  }

  #assertKept({ fromMs }: PaneRange, { horizonMs }: Progress): void {
    if (fromMs >= horizonMs) return;
    throw new BadInput(`Windows of ${this.#pipeline.name} are kept from ${time(horizonMs)} on, and the range begins at ${time(fromMs)}. Ask for --from ${time(horizonMs)}, or have panes kept for longer (settings.paneRetentionMs).`);
  }

  #assertClosed({ toMs }: PaneRange, sets: readonly PaneSet[], { clocks }: Progress): void {
    const closed = Math.min(...sets.map(({ paneMs }) => boundsAt(clocks, paneMs, this.#pipeline.settings).closesUpToMs));
    if (toMs <= closed) return;
    const least = Number.isFinite(closed) ? wholePanesUpTo(closed, sets) : undefined;
    throw new BadInput(`The range ends at ${time(toMs)}, where windows of ${this.#pipeline.name} are still open: the stream itself completes those. ${least === undefined ? 'None has closed yet.' : `Ask for --to ${time(least)} or earlier.`}`);
  }
}

/** Starts of panes in [from, before) with changes that came too late for them, or that have lost a min or max. */
async function stalePanes(tables: AggregateTransaction, set: PaneSet, from: number, before: number): Promise<readonly number[]> {
  const late = await tables.latePanes(set, from, before);
  const retracted = extremesOf(set).length > 0 ? await tables.retractedPanes(set, from, before) : [];
  return [...new Set([...late, ...retracted])].sort((a, b) => a - b);
}

/** What is remembered of one that has ended. */
function isEnded({ fromMs, toMs }: Rebuilding): boolean {
  return fromMs === 0 && toMs === 0;
}

/** So many that have ended are remembered. */
const endedKept = 20;

/** One that computes panes which another one wants to compute or compare. */
function isInTheWay(other: Rebuilding, wanted: Rebuilding): boolean {
  return overlaps(other, wanted) && (wanted.compares !== undefined || other.sets.some((set) => wanted.sets.includes(set)));
}

function givesWay(other: Rebuilding, wanted: Rebuilding): boolean {
  return other.yields === true && !wanted.yields && wanted.compares === undefined && isInTheWay(other, wanted);
}

function assertFree(pipeline: string, wanted: Rebuilding, { rebuilding }: Progress): void {
  const other = replacing(rebuilding).find((each) => isInTheWay(each, wanted) && !givesWay(each, wanted));
  if (!other) return;
  throw new BadInput(`${time(other.fromMs)} to ${time(other.toMs)} of ${pipeline} is being computed by another backfill, which overlaps. Wait for it: ./sluice backfill list ${pipeline} --wait; or end it: ./sluice backfill cancel ${pipeline}`);
}

function rangeOf({ fromMs, toMs }: PaneRange): PaneRange {
  return { fromMs, toMs };
}

function wholePanesUpTo(ms: number, sets: readonly PaneSet[]): number {
  return wholePanes({ fromMs: ms, toMs: ms }, sets).fromMs;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
