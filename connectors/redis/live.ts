import { greatestScaled } from '../../core/expressions/decimal.ts';
import { loadAnew } from '../../core/load-anew.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { parsePosition, position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { Folder } from '../../core/views/fold.ts';
import type { PaneDeltas } from '../../core/views/panes.ts';
import { decimal } from '../../core/views/results.ts';
import { eventsWithin, truncatesWithin } from '../events-within.ts';
import { ConfigurationError, type Applied, type Sink } from '../sink.ts';
import { poisonIfTooLarge } from '../sum-poison.ts';
import { TransientError } from '../transient-error.ts';
import { classified, connectRedis } from './client.ts';
import type { LiveDefinition, LivePlan } from './live-shape.ts';
import { chosen, livePlan } from './live-shape.ts';
import type { LiveStructure } from './live-structure.ts';
import { RedisLiveStructure, SumNotExact } from './live-structure.ts';

/**
 * What the aggregate lane has of a pane set, read in one repeatable-read transaction: its panes and the late deltas that
 * belong to them (not those set aside as future), its fence, and its clock in microseconds (undefined: none yet).
 */
export type PaneSnapshot = { readonly fence: Position; readonly clockUs: number | undefined; readonly panes: PaneDeltas };
export type ReadPanes = () => Promise<PaneSnapshot>;

/** On record: a structure whose fence is there, but must not be gone on from. */
export interface DueRebuilds {
  /** To be read before the panes are: what is noted later, they may not have. */
  due(): Promise<readonly string[]>;
  done(due: readonly string[]): Promise<void>;
}

/** The sink of a lane, on a server. */
export function redisLiveSink(pipeline: Pipeline, definition: LiveDefinition, url: string, readPanes: ReadPanes, rebuilds: DueRebuilds): RedisLiveSink {
  const structure = new RedisLiveStructure(connectRedis(url), definition.key, livePlan(pipeline, definition).shape);
  return new RedisLiveSink(pipeline, definition, structure, readPanes, rebuilds);
}

/** A rolling view kept current in Redis, exact at every fence (E11). Its load is that of the panes. */
export class RedisLiveSink implements Sink {
  readonly #key: string;
  readonly #pipeline: string;
  readonly #view: string;
  readonly #plan: LivePlan;
  readonly #folder: Folder;
  readonly #structure: LiveStructure;
  readonly #readPanes: ReadPanes;
  readonly #rebuilds: DueRebuilds;

  constructor(pipeline: Pipeline, definition: LiveDefinition, structure: LiveStructure, readPanes: ReadPanes, rebuilds: DueRebuilds) {
    this.#key = definition.key;
    this.#pipeline = pipeline.name;
    this.#view = definition.view;
    this.#plan = livePlan(pipeline, definition);
    this.#folder = new Folder(pipeline.source.events, this.#plan.set, pipeline.settings.maxFutureMs);
    this.#structure = structure;
    this.#readPanes = readPanes;
    this.#rebuilds = rebuilds;
  }

  /** Undefined also when the structures were lost under their fence, or must be made anew: `rebuild` then. */
  async readFence(): Promise<Position | undefined> {
    // first: a silent server is not asked what does not count anyway
    if ((await this.#rebuilds.due()).length > 0) return undefined;
    return this.#classified(() => this.#structure.readFence());
  }

  apply(segments: readonly Segment[], from: Position, to: Position): Promise<Applied> {
    return this.#classified(async () => {
      const emptiedAt = truncatesWithin(segments, from, to).at(-1)?.position;
      const deltas = this.#fold(segments, emptiedAt ?? from, to);
      await this.#structure.apply({ truncated: emptiedAt !== undefined, endUs: clockWithin(segments, to), deltas }, from, to);
      return { events: eventsWithin(segments, from, to) };
    });
  }

  /** Nothing to do: the aggregate lane loads the panes, and finishLoad takes them. */
  async load(): Promise<void> {}

  async finishLoad(loaded: Position): Promise<void> {
    await this.#rebuildFrom(loaded);
  }

  /** Makes the structures again out of the panes, at the aggregate lane's fence, which it returns. */
  rebuild(): Promise<Position> {
    return this.#rebuildFrom(undefined);
  }

  async close(): Promise<void> {
    this.#structure.close();
  }

  #classified<T>(work: () => Promise<T>): Promise<T> {
    return classified(this.#key, async () => {
      try {
        return await work();
      } catch (error) {
        throw error instanceof SumNotExact ? this.#notExact(error) : error;
      }
    });
  }

  /** Not poison: many events make a sum, and to set one of them aside would make it wrong. The sentence does not say whose it is: that is a row's content. */
  #notExact(error: SumNotExact): ConfigurationError {
    const { name, scale } = this.#plan.set.accumulators[this.#plan.accumulators[error.place]!]!;
    return new ConfigurationError(
      `Redis, key ${this.#key}: for a member, the sum ${name} of the view ${this.#view} would be about ${decimal(error.sum, scale)}, and with scale ${scale} live sums are exact only up to ${decimal(BigInt(greatestScaled), scale)} (2^53). Nothing was written, and no single event is to blame. Give the measure a smaller scale, or filter out the rows that are that large, in the definition. ${loadAnew(this.#pipeline)} Or take such rows out of the source, and when the aggregate lane has that, type in Redis: DEL ${error.generationKey} and then ./sluice resume ${this.#pipeline}, which makes the view again out of the panes.`,
      { cause: error },
    );
  }

  #rebuildFrom(atLeast: Position | undefined): Promise<Position> {
    return this.#classified(async () => {
      const generation = await this.#structure.generation();
      const due = await this.#rebuilds.due();
      const { fence, clockUs, panes } = await this.#readPanes();
      if (atLeast !== undefined && fence < atLeast) throw new TransientError(`Redis, key ${this.#key}: the aggregate lane is at ${fence}, its load up to ${atLeast} is not finished`);
      await this.#structure.swap(generation, chosen(panes, this.#plan), clockUs, fence);
      await this.#rebuilds.done(due);
      return fence;
    });
  }

  #fold(segments: readonly Segment[], after: Position, to: Position) {
    this.#folder.clear(); // what a call that failed half-way left
    for (const segment of segments) this.#folder.add(segment, { fromTransaction: 0, toTransaction: segment.transactions.count, after, upTo: to });
    return chosen(poisonIfTooLarge(() => this.#folder.take()).deltas, this.#plan);
  }
}

/** The greatest clock of the transactions that end at or below `limit`, microseconds; moved at their ends only (I6). */
function clockWithin(segments: readonly Segment[], limit: Position): number | undefined {
  let clock = Number.NEGATIVE_INFINITY;
  for (const { header, transactions } of segments) {
    const isWhole = header.to <= limit;
    const { epoch } = parsePosition(header.to);
    for (let row = 0; row < transactions.count; row++) {
      if (transactions.complete[row] === 0 || transactions.clocks[row]! <= clock) continue;
      if (isWhole || endOf(transactions, row, epoch) <= limit) clock = transactions.clocks[row]!;
    }
  }
  return Number.isFinite(clock) ? clock : undefined;
}

function endOf({ lsns, lastOrdinals }: Segment['transactions'], row: number, epoch: number): Position {
  return position(epoch, (BigInt(lsns[row * 2 + 1]!) << 32n) | BigInt(lsns[row * 2]!), lastOrdinals[row]!);
}
