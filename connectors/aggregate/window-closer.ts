import { killPoint } from '../../core/kill-point.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import type { PaneSet, PaneView } from '../../core/views/panes.ts';
import { isOpen, overlaps, type Rebuilding } from '../../core/views/rebuilding.ts';
import { boundsAt, type Clocks } from '../../core/views/watermark.ts';
import { endsBetween, endsOver, isPublished, revise, reviseAgain, reviseRebuilt } from '../../core/views/windows.ts';
import type { Progress } from './progress.ts';
import type { AggregateTransaction } from './tables.ts';

/** Publishes windows at crossings: those that close, those whose panes changed since, those that become final. */
export class WindowCloser {
  readonly #pipeline: Pipeline;
  readonly #views: readonly PublishedView[];

  constructor(pipeline: Pipeline, sets: readonly PaneSet[]) {
    this.#pipeline = pipeline;
    this.#views = sets.flatMap((set) => set.views.filter(({ name }) => isPublished(pipeline, name)).map((view) => ({ view, set })));
  }

  /** The order of what is said is by window end, then view, whatever the number of statements. */
  async cross(tables: AggregateTransaction, progress: Progress, at: Position, before: Clocks, after: Clocks): Promise<void> {
    const ends: ReadonlySet<number>[] = [];
    for (const each of this.#views) ends.push(complete(await this.#ends(tables, progress, each, before, after), each, progress.rebuilding));
    await this.#publishAll(tables, progress, { at, clocks: after, revise }, ends);
    progress.dirty.clear();
  }

  /**
   * Those over a range of panes that were computed anew. What reaches beyond it is said when all of it is done. `areNew`: of them nothing was said
   * before, so windows without any of their panes need not be looked at.
   */
  async rebuilt(tables: AggregateTransaction, progress: Progress, at: Position, sets: readonly PaneSet[], { fromMs, toMs }: PaneRange, isLast: boolean, areNew = false): Promise<void> {
    const ends: ReadonlySet<number>[] = [];
    for (const { set, view: { window } } of this.#views) {
      const { closesUpToMs } = boundsAt(progress.clocks, set.paneMs, this.#pipeline.settings);
      const all = () => Array.from({ length: (toMs - fromMs) / set.paneMs }, (_, index) => fromMs + index * set.paneMs);
      const panes = !sets.includes(set) ? [] : areNew ? await tables.panesBetween(set, fromMs - window.sizeMs, toMs) : all();
      ends.push(new Set(endsOver(panes, window, isLast ? closesUpToMs : Math.min(closesUpToMs, toMs)).filter((end) => end > fromMs && end - window.sizeMs >= progress.horizonMs)));
    }
    await this.#publishAll(tables, progress, { at, clocks: progress.clocks, revise: reviseRebuilt }, ends);
  }

  /** Those of a view that end then, whatever was said of them, if they are closed and kept still. */
  async again(tables: AggregateTransaction, progress: Progress, at: Position, view: string, ends: readonly number[]): Promise<void> {
    const wanted = this.#views.map(({ view: { name, window } }) => {
      const { closesUpToMs } = boundsAt(progress.clocks, window.everyMs, this.#pipeline.settings);
      return new Set(ends.filter((end) => name === view && end % window.everyMs === 0 && end <= closesUpToMs && end - window.sizeMs >= progress.horizonMs));
    });
    await this.#publishAll(tables, progress, { at, clocks: progress.clocks, revise: reviseAgain }, wanted);
  }

  async #publishAll(tables: AggregateTransaction, progress: Progress, how: Publishing, ends: readonly ReadonlySet<number>[]): Promise<void> {
    const all = [...new Set(ends.flatMap((each) => [...each]))].sort((a, b) => a - b);
    for (let start = 0; start < all.length; start += windowsAtOnce) {
      await this.#publish(tables, progress, how, all.slice(start, start + windowsAtOnce), ends);
      if (all.length > windowsAtOnce) await progress.flush(tables);
    }
  }

  /** Every published window is empty now; what was final stays so (E8). */
  async truncate(tables: AggregateTransaction, progress: Progress): Promise<void> {
    await progress.flush(tables);
    await tables.emptyWindows();
    this.sayTruncated(progress);
    progress.dirty.clear();
  }

  sayTruncated(progress: Progress): void {
    for (const { view } of this.#views) progress.say(view.name, { truncated: true });
  }

  async #publish(tables: AggregateTransaction, progress: Progress, { at, clocks, revise: how }: Publishing, some: readonly number[], ends: readonly ReadonlySet<number>[]): Promise<void> {
    const said: { endMs: number; say: () => void }[] = [];
    for (const [index, { view }] of this.#views.entries()) {
      const wanted = some.filter((end) => ends[index]!.has(end));
      if (wanted.length === 0) continue;
      const bounds = boundsAt(clocks, view.window.everyMs, this.#pipeline.settings);
      for (const { endMs, digest, published, rows } of await tables.readWindows(view.name, wanted, at)) {
        const before = progress.windowOf(view.name, endMs) ?? published;
        const now = how(endMs, before, digest, bounds);
        if (!now) continue;
        if (!before) progress.windowsClosed++;
        progress.setWindow(view.name, endMs, now);
        killPoint('window/closing');
        const body = { windowStartMs: endMs - view.window.sizeMs, windowEndMs: endMs, revision: now.revision, final: now.final, rows };
        said.push({ endMs, say: () => progress.say(view.name, body) });
      }
    }
    said.sort((a, b) => a.endMs - b.endMs);
    for (const { say } of said) say();
  }

  async #ends(tables: AggregateTransaction, progress: Progress, { view, set }: PublishedView, before: Clocks, after: Clocks): Promise<ReadonlySet<number>> {
    const { everyMs, sizeMs } = view.window;
    const was = boundsAt(before, everyMs, this.#pipeline.settings);
    const now = boundsAt(after, everyMs, this.#pipeline.settings);
    const closing = endsBetween(was.closesUpToMs, now.closesUpToMs, everyMs);
    const becomingFinal = endsBetween(was.closedBeforeMs, now.closedBeforeMs, everyMs);
    const dirty = endsOver(progress.dirtyPanes(set), view.window, now.closesUpToMs);
    if (closing !== 'many' && becomingFinal !== 'many') return new Set([...dirty, ...closing, ...becomingFinal]);

    // a long pause or a first load: only windows with panes, and those that wait to become final
    await progress.flush(tables);
    const panes = await tables.panesBetween(set, Math.max(was.closesUpToMs - sizeMs, progress.horizonMs), now.closesUpToMs);
    const closed = endsOver(panes, view.window, now.closesUpToMs).filter((end) => end > was.closesUpToMs && end - sizeMs >= progress.horizonMs);
    const open = await tables.openWindows(view.name, now.closedBeforeMs);
    return new Set([...dirty, ...closed, ...open]);
  }
}

/** Without those over panes that are being filled: they are said when all of their panes are. */
function complete(ends: ReadonlySet<number>, { view: { window }, set }: PublishedView, rebuilding: readonly Rebuilding[]): ReadonlySet<number> {
  const filled = rebuilding.filter((each) => each.fills && isOpen(each) && each.sets.includes(set.name));
  if (filled.length === 0) return ends;
  return new Set([...ends].filter((end) => !filled.some((range) => overlaps({ fromMs: end - window.sizeMs, toMs: end }, range))));
}

/** Labels as of `at`. */
type Publishing = { readonly at: Position; readonly clocks: Clocks; readonly revise: typeof revise };
type PublishedView = { readonly view: PaneView; readonly set: PaneSet };

const windowsAtOnce = 100;
