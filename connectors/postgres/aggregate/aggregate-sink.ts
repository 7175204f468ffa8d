import type { PoolClient } from 'pg';
import type { Pipeline } from '../../../core/pipeline.ts';
import type { Position } from '../../../core/position.ts';
import type { Segment } from '../../../core/segment.ts';
import { Folder, type Folded } from '../../../core/views/fold.ts';
import { paneSetsOf } from '../../../core/views/pane-sets.ts';
import { Walk } from '../../../core/views/walk.ts';
import type { Step } from '../../../core/views/walk.ts';
import { boundsAt, noClock } from '../../../core/views/watermark.ts';
import { eventsWithin } from '../../events-within.ts';
import type { Applied, Sink } from '../../sink.ts';
import { poisonIfTooLarge } from '../../sum-poison.ts';
import { classified } from '../errors.ts';
import type { State } from '../state/state.ts';
import { inTransaction, lockFence, readFence } from '../state/state.ts';
import { keepDimensionVersions } from './dimension-versions.ts';
import { FirstLoad } from './first-load.ts';
import { PaneStore } from './pane-store.ts';
import { Progress, aggregateLane } from './progress.ts';
import { trim } from './trim.ts';
import { WindowCloser } from './window-closer.ts';

/**
 * Panes, clock, windows, outbox and dimension versions of a pipeline, in the state database. An apply is one transaction
 * that moves the fence with everything else, under the fence's row lock (I3). What it writes is a function of the events
 * alone: however they are cut into segments and applies, the same panes, late rows and messages come out (I6).
 */
export class AggregateSink implements Sink {
  readonly #state: State;
  readonly #pipeline: Pipeline;
  readonly #stores: readonly PaneStore[];
  readonly #closer: WindowCloser;
  readonly #load: FirstLoad;

  /** Makes the tables of the panes if they are not there. */
  static async open(state: State, pipeline: Pipeline): Promise<AggregateSink> {
    const stores = paneSetsOf(pipeline).map((set) => new PaneStore(pipeline.name, set));
    await classified(database, () =>
      inTransaction(state, async (client) => {
        // two workers that start at once: `create table if not exists` is not safe against itself
        await client.query("select pg_advisory_xact_lock(hashtextextended('sluice.panes', 0))");
        for (const store of stores) await store.create(client);
      }),
    );
    return new AggregateSink(state, pipeline, stores);
  }

  private constructor(state: State, pipeline: Pipeline, stores: readonly PaneStore[]) {
    this.#state = state;
    this.#pipeline = pipeline;
    this.#stores = stores;
    this.#closer = new WindowCloser(pipeline, stores);
    this.#load = new FirstLoad(pipeline, stores, this.#closer);
  }

  readFence(): Promise<Position | undefined> {
    return classified(database, () => readFence(this.#state, this.#pipeline.name, aggregateLane));
  }

  apply(segments: readonly Segment[], from: Position, to: Position): Promise<Applied> {
    return classified(database, () => inTransaction(this.#state, (client) => this.#apply(client, segments, from, to)));
  }

  /**
   * Folds an event that the fence has passed already, within the transaction that settles its letter: so it counts once.
   * What belongs to panes that are closed for good goes to the late output, as if it came only now.
   */
  replay(client: PoolClient, event: Segment): Promise<void> {
    return classified(database, async () => {
      const progress = await Progress.lock(client, this.#pipeline.name);
      for (const store of this.#stores) {
        const folder = new Folder(this.#pipeline.source.events, store.set, this.#pipeline.settings.maxFutureMs);
        const { closedBeforeMs } = boundsAt(progress.clocks, store.set.paneMs, this.#pipeline.settings);
        folder.add(event, { fromTransaction: 0, toTransaction: 1, closedBeforeMs });
        await this.#fold(client, progress, store, poisonIfTooLarge(() => folder.take()));
      }
      await progress.finish(client, undefined);
    });
  }

  load(chunk: Segment, chunkNumber: number): Promise<void> {
    return classified(database, () => inTransaction(this.#state, (client) => this.#load.add(client, chunk, chunkNumber)));
  }

  finishLoad(position: Position): Promise<void> {
    return classified(database, () => inTransaction(this.#state, (client) => this.#load.finish(client, position)));
  }

  /** The state database belongs to the caller. */
  async close(): Promise<void> {}

  async #apply(client: PoolClient, segments: readonly Segment[], from: Position, to: Position): Promise<Applied> {
    await lockFence(client, this.#pipeline.name, aggregateLane, from);
    assertCovers(segments, from, to);
    const progress = await Progress.lock(client, this.#pipeline.name);
    await keepDimensionVersions(client, this.#pipeline, segments, from, to);

    const walk = new Walk(this.#pipeline, this.#stores.map(({ set }) => set));
    const steps = walk.steps(segments, from, to, progress.clocks);
    for (let next = poisonIfTooLarge(() => steps.next()); ; next = poisonIfTooLarge(() => steps.next())) {
      if (next.done) {
        progress.clocks = next.value;
        break;
      }
      await this.#take(client, progress, next.value);
    }
    await progress.finish(client, to);

    const { clock } = progress.clocks;
    return {
      events: eventsWithin(segments, from, to),
      late: progress.late,
      windowsClosed: progress.windowsClosed,
      ...(clock !== noClock && { watermark: clock - this.#pipeline.settings.watermarkDelayMs * 1000 }),
    };
  }

  async #take(client: PoolClient, progress: Progress, step: Step): Promise<void> {
    switch (step.kind) {
      case 'fold':
        for (const [index, store] of this.#stores.entries()) await this.#fold(client, progress, store, step.folds[index]!);
        return;
      case 'truncate':
        for (const store of this.#stores) await store.clear(client);
        return this.#closer.truncate(client, progress);
      case 'crossing':
        progress.clocks = step.after;
        await this.#closer.cross(client, progress, step.position, step.before, step.after);
        return trim(client, this.#pipeline, this.#stores, progress);
    }
  }

  async #fold(client: PoolClient, progress: Progress, store: PaneStore, { deltas, aside }: Folded): Promise<void> {
    await store.add(client, deltas);
    await store.setAside(client, aside);
    for (const { reason, rows } of aside) if (reason === 'late') progress.late += rows;
    const { closesUpToMs } = boundsAt(progress.clocks, store.set.paneMs, this.#pipeline.settings);
    const dirty = progress.dirtyPanes(store.set);
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

const database = 'state database';
