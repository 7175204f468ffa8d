import { killPoint } from '../../core/kill-point.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import type { PaneSet, PaneView } from '../../core/views/panes.ts';
import type { Clocks } from '../../core/views/watermark.ts';
import { boundsAt } from '../../core/views/watermark.ts';
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
    for (const each of this.#views) ends.push(await this.#ends(tables, progress, each, before, after));
    await this.#publishAll(tables, progress, { at, clocks: after, revise }, ends);
    progress.dirty.clear();
  }

  /** Those over a range of panes that were computed anew. What reaches beyond it is said when all of it is done. */
  async rebuilt(tables: AggregateTransaction, progress: Progress, at: Position, sets: readonly PaneSet[], { fromMs, toMs }: PaneRange, isLast: boolean): Promise<void> {
    const ends = this.#views.map(({ set, view: { window } }) => {
      if (!sets.includes(set)) return new Set<number>();
      const { closesUpToMs } = boundsAt(progress.clocks, set.paneMs, this.#pipeline.settings);
      const panes = Array.from({ length: (toMs - fromMs) / set.paneMs }, (_, index) => fromMs + index * set.paneMs);
      return new Set(endsOver(panes, window, isLast ? closesUpToMs : Math.min(closesUpToMs, toMs)).filter((end) => end - window.sizeMs >= progress.horizonMs));
    });
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

/** Labels as of `at`. */
type Publishing = { readonly at: Position; readonly clocks: Clocks; readonly revise: typeof revise };
type PublishedView = { readonly view: PaneView; readonly set: PaneSet };

const windowsAtOnce = 100;
