import { eventPositions } from '../../core/event-positions.ts';
import { hasPassed } from '../../core/dead-letters/has-passed.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { StaleRange } from '../../core/repair.ts';
import type { Segment } from '../../core/segment.ts';
import { extremesOf } from '../../core/views/extremes.ts';
import { Folder, type Folded, type PaneRange } from '../../core/views/fold.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import { someDeltas, type PaneDeltas, type PaneSet } from '../../core/views/panes.ts';
import { rebuildingOf, type Rebuilding } from '../../core/views/rebuilding.ts';
import { Walk } from '../../core/views/walk.ts';
import type { Step } from '../../core/views/walk.ts';
import { boundsAt, noClock, type Clocks } from '../../core/views/watermark.ts';
import { endsOver } from '../../core/views/windows.ts';
import { eventsWithin } from '../events-within.ts';
import type { Applied, Sink } from '../sink.ts';
import { FenceMoved } from '../sink.ts';
import { poisonIfTooLarge } from '../sum-poison.ts';
import { FirstLoad } from './first-load.ts';
import { Rebuild, type Rebuilt, type Replaced } from './rebuild.ts';
import { aggregateLane, Progress } from './progress.ts';
import type { AggregateTables, AggregateTransaction } from './tables.ts';
import { trim } from './trim.ts';
import { WindowCloser } from './window-closer.ts';

/**
 * Panes, clock, windows, outbox and dimension versions of a pipeline. An apply is one transaction that moves the fence
 * with everything else, under the fence's row lock (I3). What it writes is a function of the events alone: however they
 * are cut into segments and applies, the same panes, late rows and messages come out (I6).
 */
export class AggregateSink implements Sink {
  readonly #tables: AggregateTables;
  readonly #pipeline: Pipeline;
  readonly #sets: readonly PaneSet[];
  readonly #closer: WindowCloser;
  readonly #load: FirstLoad;
  readonly #rebuild: Rebuild;

  constructor(tables: AggregateTables, pipeline: Pipeline) {
    this.#tables = tables;
    this.#pipeline = pipeline;
    this.#sets = paneSetsOf(pipeline);
    this.#closer = new WindowCloser(pipeline, this.#sets);
    this.#load = new FirstLoad(pipeline, this.#sets, this.#closer);
    this.#rebuild = new Rebuild(pipeline, this.#sets, this.#closer);
  }

  readFence(): Promise<Position | undefined> {
    return this.#tables.readFence();
  }

  apply(segments: readonly Segment[], from: Position, to: Position): Promise<Applied> {
    return this.#tables.transaction((tables) => this.#apply(tables, segments, from, to));
  }

  /**
   * Folds an event that the fence has passed already, within the transaction that settles its letter: so it counts once.
   * What belongs to panes that are closed for good goes to the late output, as if it came only now. Throws FenceMoved if
   * the panes are not those that miss it: the fence is before it still, or a load has put others in their place (E28).
   */
  async replay(tables: AggregateTransaction, event: Segment): Promise<void> {
    const progress = new Progress(await tables.lock());
    const [fence, { to }] = [await tables.readFence(), event.header];
    if (!hasPassed(fence, to)) throw new FenceMoved(`lane ${aggregateLane} of ${this.#pipeline.name}`, `one of the same load, at or above ${to}`, fence);
    for (const set of this.#sets) {
      const folder = new Folder(this.#pipeline.source.events, set, this.#pipeline.settings.maxFutureMs);
      const { closedBeforeMs } = boundsAt(progress.clocks, set.paneMs, this.#pipeline.settings);
      folder.add(event, { fromTransaction: 0, toTransaction: 1, closedBeforeMs, rebuilding: rebuildingOf(progress.rebuilding, set) });
      await this.#fold(tables, progress, set, await this.#notYetIn(tables, set, to, poisonIfTooLarge(() => folder.take())));
    }
    progress.isStale ||= progress.late + progress.retracted > 0;
    await progress.finish(tables, undefined);
  }

  load(chunk: Segment, chunkNumber: number): Promise<void> {
    return this.#tables.transaction((tables) => this.#load.add(tables, chunk, chunkNumber));
  }

  finishLoad(position: Position): Promise<void> {
    return this.#tables.transaction((tables) => this.#load.finish(tables, position));
  }

  /** From when this returns, panes of a range can be computed anew (E18): a snapshot that is taken then will do. `yields`: as in Rebuilding. */
  markRebuild(backfill: string, views: readonly string[], range: PaneRange, yields = false): Promise<PaneRange> {
    return this.#tables.transaction((tables) => this.#rebuild.mark(tables, whose(backfill, yields), views, range));
  }

  /** What would be marked. Throws BadInput with what can be asked for. */
  checkRebuild(views: readonly string[], range: PaneRange, yields = false): Promise<PaneRange> {
    return this.#tables.transaction((tables) => this.#rebuild.check(tables, whose('', yields), views, range));
  }

  /** From when this returns, panes of a range can be compared with a snapshot that is taken then, until `endCompared`. Throws BadInput with what can be asked for. */
  markCompared(name: string, compares: string, range: PaneRange): Promise<PaneRange> {
    return this.#tables.transaction((tables) => this.#rebuild.compare(tables, name, compares, range));
  }

  /** What would be marked so. Throws BadInput with what can be asked for. */
  checkCompared(range: PaneRange): Promise<PaneRange> {
    return this.#tables.transaction((tables) => this.#rebuild.checkCompare(tables, range));
  }

  endCompared(name: string): Promise<void> {
    return this.#tables.transaction((tables) => this.#rebuild.endCompare(tables, name));
  }

  /** Windows that end then get their next revision, whatever was said of them. False: not now, a comparison of the pipeline goes on. */
  sayAgain(view: string, ends: readonly number[]): Promise<boolean> {
    return this.#tables.transaction(async (tables) => {
      if (!(await tables.mayReplace())) return false;
      const progress = new Progress(await tables.lock());
      const fence = await tables.readFence();
      if (fence !== undefined) await this.#closer.again(tables, progress, fence, view, ends);
      await progress.finish(tables, undefined);
      return true;
    });
  }

  /** Ends of the windows of a view that have closed, and have panes. */
  keptEnds(view: string): Promise<readonly number[]> {
    return this.#tables.transaction(async (tables) => {
      const { clocks, horizonMs } = new Progress(await tables.lock());
      const set = this.#sets.find(({ views }) => views.some(({ name }) => name === view))!;
      const { window } = set.views.find(({ name }) => name === view)!;
      const { closesUpToMs } = boundsAt(clocks, set.paneMs, this.#pipeline.settings);
      if (!Number.isFinite(closesUpToMs)) return [];
      const ends = endsOver(await tables.panesBetween(set, horizonMs, closesUpToMs), window, closesUpToMs);
      return ends.filter((end) => end - window.sizeMs >= horizonMs).sort((a, b) => a - b);
    });
  }

  /** Closed panes with changes that came too late for them (E14), or that have lost a min or max (E15). */
  stale(): Promise<readonly StaleRange[]> {
    return this.#tables.transaction((tables) => this.#rebuild.stale(tables));
  }

  /** What is marked now, whoever did. */
  rebuilding(): Promise<readonly Rebuilding[]> {
    return this.#tables.transaction(async (tables) => (await tables.lock()).rebuilding);
  }

  /** What was computed out of a snapshot takes the place of the panes of a range. */
  replacePanes(backfill: string, chunk: Rebuilt, onTurn: () => void = () => {}): Promise<Replaced> {
    return this.#tables.transaction((tables) => this.#rebuild.replace(tables, backfill, chunk, onTurn));
  }

  /** What was not replaced stays as it is. */
  endRebuild(backfill: string): Promise<void> {
    return this.#tables.transaction((tables) => this.#rebuild.end(tables, backfill));
  }

  /** The tables belong to the caller. */
  async close(): Promise<void> {}

  async #apply(tables: AggregateTransaction, segments: readonly Segment[], from: Position, to: Position): Promise<Applied> {
    await tables.lockFence(from);
    assertCovers(segments, from, to);
    // before the other lock: who replays a letter takes them in this order
    await tables.forgetLetters(from, to, () => eventPositions(segments, from, to));
    const progress = new Progress(await tables.lock());
    const { isStale } = progress;
    progress.isStale = false;
    await tables.keepDimensions(segments, from, to);

    const walk = new Walk(this.#pipeline, this.#sets);
    const steps = walk.steps(segments, from, to, progress.clocks, progress.rebuilding);
    for (let next = poisonIfTooLarge(() => steps.next()); ; next = poisonIfTooLarge(() => steps.next())) {
      if (next.done) {
        progress.clocks = next.value;
        break;
      }
      await this.#take(tables, progress, next.value);
    }
    await progress.finish(tables, to);

    const { clock } = progress.clocks;
    return {
      events: eventsWithin(segments, from, to),
      late: progress.late,
      windowsClosed: progress.windowsClosed,
      ...(progress.retracted > 0 && { retracted: progress.retracted }),
      ...(isStale && { stale: true }),
      ...(clock !== noClock && { watermark: clock - this.#pipeline.settings.watermarkDelayMs * 1000 }),
    };
  }

  async #take(tables: AggregateTransaction, progress: Progress, step: Step): Promise<void> {
    switch (step.kind) {
      case 'fold':
        for (const [index, set] of this.#sets.entries()) await this.#fold(tables, progress, set, step.folds[index]!);
        return;
      case 'truncate':
        for (const set of this.#sets) await tables.clearPanes(set);
        progress.rebuilding = progress.rebuilding.map((each) => ({ ...each, voidBelow: step.position }));
        return this.#closer.truncate(tables, progress);
      case 'crossing':
        progress.clocks = step.after;
        await this.#closer.cross(tables, progress, step.position, step.before, step.after);
        await this.#countRetracted(tables, progress, step.before);
        return trim(tables, this.#pipeline, progress);
    }
  }

  /** Of the panes that close at a crossing: until now nobody could compute them anew. */
  async #countRetracted(tables: AggregateTransaction, progress: Progress, before: Clocks): Promise<void> {
    const closed = (clocks: Clocks, { paneMs }: PaneSet) => boundsAt(clocks, paneMs, this.#pipeline.settings).closesUpToMs;
    for (const set of this.#sets) {
      const from = Math.max(closed(before, set), progress.horizonMs);
      if (extremesOf(set).length > 0 && from < closed(progress.clocks, set)) progress.retracted += (await tables.retractedPanes(set, from, closed(progress.clocks, set))).length;
    }
  }

  /** Without what is in panes already because they were computed anew since (E18). */
  async #notYetIn(tables: AggregateTransaction, set: PaneSet, at: Position, { deltas, aside, kept }: Folded): Promise<Folded> {
    const bases = await tables.basesOf(set, [deltas, ...aside.map((each) => each.deltas)].flatMap(({ panes }) => [...panes]));
    const left = <T extends { readonly deltas: PaneDeltas }>(each: T): T => ({ ...each, deltas: someDeltas(each.deltas, (pane) => !(bases.get(pane)! > at)) });
    return { deltas: left({ deltas }).deltas, aside: aside.map(left), kept: kept.map(left) };
  }

  async #fold(tables: AggregateTransaction, progress: Progress, set: PaneSet, { deltas, aside, kept }: Folded): Promise<void> {
    const retracted = await tables.addToPanes(set, deltas);
    await tables.setAside(set, aside);
    await tables.keepChanges(set, kept);
    for (const { reason, rows } of aside) if (reason === 'late') progress.late += rows;
    const { closesUpToMs } = boundsAt(progress.clocks, set.paneMs, this.#pipeline.settings);
    progress.retracted += retracted.filter((pane) => pane < closesUpToMs).length;
    const dirty = progress.dirtyPanes(set);
    for (const pane of deltas.panes) if (pane < closesUpToMs) dirty.add(pane);
  }
}

/** E5: a gap would be lost for ever, for the fence passes it. */
function assertCovers(segments: readonly Segment[], from: Position, to: Position): void {
  let reached = from;
  for (const { header } of segments) {
    if (header.from > reached) throw new RangeError(`the segments for (${from}, ${to}] have a gap: one begins at ${header.from}, and only what is up to ${reached} came before`);
    if (header.to > reached) reached = header.to;
  }
  if (reached < to) throw new RangeError(`the segments for (${from}, ${to}] end at ${reached}`);
}

function whose(backfill: string, yields: boolean): Pick<Rebuilding, 'backfill' | 'yields'> {
  return yields ? { backfill, yields } : { backfill };
}
