import fc from 'fast-check';
import type { Pipeline } from '../../core/pipeline.ts';
import type { PlainTransaction } from '../../core/segment-builder.ts';
import type { Segment } from '../../core/segment.ts';
import { isOpen } from '../../core/views/rebuilding.ts';
import { streams } from './random-stream.ts';
import { rebuilt } from './snapshot-chunk.ts';
import { canary, segmentsOf, type World } from './world.ts';

/** Whatever the stream: each with a state of its own, and applied in steps of any size. */
export async function withAnySteps(world: World, numRuns: number, check: (steps: AnySteps) => Promise<void>): Promise<void> {
  await fc.assert(
    fc.asyncProperty(streams, fc.infiniteStream(fc.integer({ min: 0, max: 9 })), async (stream, choices) => {
      await world.forget();
      await check(new AnySteps(world, [...stream, canary(stream.length + 1, 60_000)], choices));
    }),
    { numRuns },
  );
}

export class AnySteps {
  /** Behind all transactions comes a canary, of a time at which every window has closed. */
  readonly stream: readonly PlainTransaction[];
  readonly #world: World;
  readonly #segments: readonly Segment[];
  readonly #choices: Iterator<number>;
  #applied = 0;

  constructor(world: World, stream: readonly PlainTransaction[], choices: Iterable<number>) {
    this.#world = world;
    this.stream = stream;
    this.#segments = segmentsOf(stream, undefined, () => true);
    this.#choices = choices[Symbol.iterator]();
  }

  /** How many transactions are applied. */
  get applied(): number {
    return this.#applied;
  }

  /** A whole number that was drawn. */
  upTo(most: number): number {
    return Math.floor(((this.#choices.next().value as number) / 10) * (most + 1));
  }

  /** Up to the first `count` transactions, several in one apply: what they change together may be nothing. */
  async applyTo(count: number): Promise<void> {
    const wanted = Math.min(this.stream.length, count);
    while (this.#applied < wanted) {
      const last = Math.min(wanted, this.#applied + 1 + this.upTo(4));
      await this.#world.sink.apply(this.#segments, this.#segments[this.#applied]!.header.from, this.#segments[last - 1]!.header.to);
      this.#applied = last;
    }
  }

  /** A snapshot's place behind `count` transactions, and before the last. */
  behind(count: number): number {
    return Math.min(this.stream.length - 1, Math.max(1, count));
  }

  /** Up to which time panes are closed, in milliseconds; undefined: none is. Delay and panes are those of the pipelines of world.ts. */
  async closedMs(): Promise<number | undefined> {
    const [clock] = await this.#world.rows('select floor((clock_us - 2000000) / 10000000.0)::bigint * 10000 as closed from sluice.aggregate where clock_us is not null');
    return clock?.['closed'] == null ? undefined : Number(clock['closed']);
  }
}

/** All of it, and repairs meanwhile, whenever. */
export async function applyBesideRepairs(world: World, pipeline: Pipeline, steps: AnySteps): Promise<void> {
  const { stream } = steps;
  while (steps.applied < stream.length) {
    await steps.applyTo(steps.applied + 1 + steps.upTo(5));
    const [range] = steps.upTo(1) === 0 ? await world.sink.stale() : [];
    if (!range) continue;
    const name = `repair ${crypto.randomUUID()}`;
    const marked = await world.sink.markRebuild(name, range.views, range);
    // the lane may have long to go until the snapshot
    for (let [left, at] = [marked, steps.behind(steps.applied + steps.upTo(4))]; isOpen(left); ) {
      await steps.applyTo(steps.applied + steps.upTo(3));
      const done = await world.sink.replacePanes(name, rebuilt(pipeline, stream, at, left));
      if (done === 'done') left = { ...left, fromMs: left.toMs };
      if (done === 'void') at = steps.behind(at + 1 + steps.upTo(2));
      if (done === 'behind' || at === stream.length - 1) await steps.applyTo(steps.applied + 1);
    }
    await world.sink.endRebuild(name);
  }
}

/** As the repair workflow does, each range with a snapshot behind the first `count` transactions. Returns how many there were. */
export async function repair(world: World, pipeline: Pipeline, stream: readonly PlainTransaction[], count = stream.length - 1): Promise<number> {
  const ranges = await world.sink.stale();
  for (const { fromMs, toMs, views } of ranges) {
    const name = `repair ${crypto.randomUUID()}`;
    const range = await world.sink.markRebuild(name, views, { fromMs, toMs });
    const done = await world.sink.replacePanes(name, rebuilt(pipeline, stream, count, range));
    if (done !== 'done') throw new Error(`The repair of ${fromMs} to ${toMs} is ${done}.`);
    await world.sink.endRebuild(name);
  }
  return ranges.length;
}
