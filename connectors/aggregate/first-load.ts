import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { origin, parsePosition } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { Folder } from '../../core/views/fold.ts';
import type { PaneSet } from '../../core/views/panes.ts';
import { noClock } from '../../core/views/watermark.ts';
import { FenceMoved } from '../sink.ts';
import { Progress } from './progress.ts';
import type { AggregateTransaction } from './tables.ts';
import { trim } from './trim.ts';
import type { WindowCloser } from './window-closer.ts';

/**
 * The first load (E28): chunks of a snapshot, each once, without the lateness test; then windows that the watermark has
 * passed are published as final. A higher epoch is a load that starts over: it first clears what an earlier one left.
 */
export class FirstLoad {
  readonly #pipeline: Pipeline;
  readonly #sets: readonly PaneSet[];
  readonly #closer: WindowCloser;

  constructor(pipeline: Pipeline, sets: readonly PaneSet[], closer: WindowCloser) {
    this.#pipeline = pipeline;
    this.#sets = sets;
    this.#closer = closer;
  }

  async add(tables: AggregateTransaction, chunk: Segment, chunkNumber: number): Promise<void> {
    const { to } = chunk.header;
    const progress = await this.#begin(tables, to);
    if (await this.#isFinished(tables, to)) return;
    if (!(await tables.takeChunk(chunkNumber))) return;

    await tables.keepDimensions([chunk], origin, to);
    for (const set of this.#sets) {
      const folder = new Folder(this.#pipeline.source.events, set, this.#pipeline.settings.maxFutureMs);
      folder.add(chunk, { fromTransaction: 0, toTransaction: chunk.transactions.count });
      const { deltas, aside } = folder.take();
      await tables.addToPanes(set, deltas);
      await tables.setAside(set, aside);
    }
    const clock = chunk.transactions.clocks.reduce((greatest, each) => Math.max(greatest, each), progress.clocks.clock);
    progress.clocks = { clock, loaded: noClock };
    if (clock !== noClock) await trim(tables, this.#pipeline, progress);
    await progress.finish(tables, undefined, parsePosition(to).epoch);
  }

  async finish(tables: AggregateTransaction, position: Position): Promise<void> {
    const progress = await this.#begin(tables, position);
    if (await this.#isFinished(tables, position)) return;
    const { clock } = progress.clocks;
    progress.clocks = { clock, loaded: clock };
    if (clock !== noClock) await this.#closer.cross(tables, progress, position, { clock: noClock, loaded: noClock }, progress.clocks);
    await tables.forgetChunks();
    await tables.setFence(position);
    await progress.finish(tables, undefined, parsePosition(position).epoch);
  }

  /** Locks the pipeline, and clears what belongs to an earlier epoch. Throws FenceMoved if a later load has begun. */
  async #begin(tables: AggregateTransaction, at: Position): Promise<Progress> {
    const { epoch } = parsePosition(at);
    const progress = new Progress(await tables.lock());
    const found = progress.loadEpoch;
    if (found !== undefined && found > epoch) throw new FenceMoved(`load of ${this.#pipeline.name}`, at, `epoch ${found}`);
    if (found === epoch) return progress;

    await tables.forget();
    if (progress.hasPublished) this.#closer.sayTruncated(progress);
    progress.clocks = { clock: noClock, loaded: noClock };
    progress.horizonMs = 0;
    progress.dirty.clear();
    progress.rebuilding = [];
    progress.isStale = false;
    return progress;
  }

  async #isFinished(tables: AggregateTransaction, position: Position): Promise<boolean> {
    const fence = await tables.readFence();
    return fence !== undefined && fence >= position;
  }
}
