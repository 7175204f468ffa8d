import type { PoolClient } from 'pg';
import type { Pipeline } from '../../../core/pipeline.ts';
import type { Position } from '../../../core/position.ts';
import { origin, parsePosition } from '../../../core/position.ts';
import type { Segment } from '../../../core/segment.ts';
import { Folder } from '../../../core/views/fold.ts';
import { noClock } from '../../../core/views/watermark.ts';
import { FenceMoved } from '../../sink.ts';
import { setFence } from '../state/state.ts';
import { keepDimensionVersions } from './dimension-versions.ts';
import type { PaneStore } from './pane-store.ts';
import { Progress, aggregateLane } from './progress.ts';
import { trim } from './trim.ts';
import type { WindowCloser } from './window-closer.ts';

/**
 * The first load (E28): chunks of a snapshot, each once, without the lateness test; then windows that the watermark has
 * passed are published as final. A higher epoch is a load that starts over: it first clears what an earlier one left.
 */
export class FirstLoad {
  readonly #pipeline: Pipeline;
  readonly #stores: readonly PaneStore[];
  readonly #closer: WindowCloser;

  constructor(pipeline: Pipeline, stores: readonly PaneStore[], closer: WindowCloser) {
    this.#pipeline = pipeline;
    this.#stores = stores;
    this.#closer = closer;
  }

  async add(client: PoolClient, chunk: Segment, chunkNumber: number): Promise<void> {
    const { to } = chunk.header;
    const progress = await this.#begin(client, to);
    if (await this.#isFinished(client, to)) return;
    const { rowCount } = await client.query('insert into sluice.load_chunk (pipeline, chunk) values ($1, $2) on conflict do nothing', [this.#pipeline.name, chunkNumber]);
    if (rowCount === 0) return;

    await keepDimensionVersions(client, this.#pipeline, [chunk], origin, to);
    for (const store of this.#stores) {
      const folder = new Folder(this.#pipeline.source.events, store.set, this.#pipeline.settings.maxFutureMs);
      folder.add(chunk, { fromTransaction: 0, toTransaction: chunk.transactions.count });
      const { deltas, aside } = folder.take();
      await store.add(client, deltas);
      await store.setAside(client, aside);
    }
    const clock = chunk.transactions.clocks.reduce((greatest, each) => Math.max(greatest, each), progress.clocks.clock);
    progress.clocks = { clock, loaded: noClock };
    if (clock !== noClock) await trim(client, this.#pipeline, this.#stores, progress);
    await progress.finish(client, undefined, parsePosition(to).epoch);
  }

  async finish(client: PoolClient, position: Position): Promise<void> {
    const progress = await this.#begin(client, position);
    if (await this.#isFinished(client, position)) return;
    const { clock } = progress.clocks;
    progress.clocks = { clock, loaded: clock };
    if (clock !== noClock) await this.#closer.cross(client, progress, position, { clock: noClock, loaded: noClock }, progress.clocks);
    await client.query('delete from sluice.load_chunk where pipeline = $1', [this.#pipeline.name]);
    await setFence(client, this.#pipeline.name, aggregateLane, position);
    await progress.finish(client, undefined, parsePosition(position).epoch);
  }

  /** Locks the pipeline, and clears what belongs to an earlier epoch. Throws FenceMoved if a later load has begun. */
  async #begin(client: PoolClient, at: Position): Promise<Progress> {
    const { epoch } = parsePosition(at);
    const progress = await Progress.lock(client, this.#pipeline.name);
    const found = progress.loadEpoch;
    if (found !== undefined && found > epoch) throw new FenceMoved(`load of ${this.#pipeline.name}`, at, `epoch ${found}`);
    if (found === epoch) return progress;

    for (const store of this.#stores) await store.clear(client);
    for (const table of ['published_window', 'load_chunk', 'dimension_version']) await client.query(`delete from sluice.${table} where pipeline = $1`, [this.#pipeline.name]);
    await client.query('delete from sluice.fence where pipeline = $1 and lane = $2', [this.#pipeline.name, aggregateLane]);
    if (progress.hasPublished) this.#closer.sayTruncated(progress);
    progress.clocks = { clock: noClock, loaded: noClock };
    progress.horizonMs = 0;
    progress.dirty.clear();
    return progress;
  }

  async #isFinished(client: PoolClient, position: Position): Promise<boolean> {
    const { rows } = await client.query<{ position: Position }>('select position from sluice.fence where pipeline = $1 and lane = $2', [this.#pipeline.name, aggregateLane]);
    return rows[0] !== undefined && rows[0].position >= position;
  }
}
