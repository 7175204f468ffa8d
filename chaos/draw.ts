import { Random } from '../bench/load/random.ts';
import type { Fault } from './fault.ts';

/** One turn of a run: usually one fault, sometimes a second one that begins while the first goes on. */
export type Turn = {
  readonly faults: readonly Fault[];
  /** How long all is well before it. */
  readonly pauseMs: number;
  /** When the second one begins. */
  readonly apartMs: number;
  /** For the faults' own choices. */
  readonly seed: number;
};

/** Endless, and the same for the same seed: every fault once in each round, in an order of its own. */
export function* drawTurns(seed: number, drawn: readonly Fault[]): Generator<Turn, never> {
  const random = new Random(seed);
  let bag: Fault[] = [];
  const take = (mayBe: (fault: Fault) => boolean): Fault | undefined => {
    if (bag.length === 0) bag = shuffled(random, drawn);
    const at = bag.findIndex(mayBe);
    return at < 0 ? undefined : bag.splice(at, 1)[0];
  };
  for (;;) {
    const first = take(() => true)!;
    // what two would do to each other says nothing of the product
    const second = random.below(5) === 0 && !first.alone ? take((fault) => !fault.alone && hitBy(fault) !== hitBy(first)) : undefined;
    yield { faults: second ? [first, second] : [first], pauseMs: 3_000 + random.below(6_000), apartMs: random.below(4_000), seed: random.word() };
  }
}

/** The faults given, once each, one after the other; those in one list overlap. */
export function* inOrder(seed: number, given: readonly (readonly Fault[])[]): Generator<Turn> {
  const random = new Random(seed);
  for (const faults of given) yield { faults, pauseMs: 3_000, apartMs: random.below(4_000), seed: random.word() };
}

/** The process that a fault lays its hands on: Temporal's and another definition let workers come and go, the state is in the source's server, and what is written there needs it. */
export function hitBy({ name }: Fault): string {
  // by an order, of which there is one at a time
  if (name === 'backfill/killed') return 'worker';
  const kind = name.slice(0, name.indexOf('/'));
  return { temporal: 'worker', apply: 'worker', state: 'source', data: 'source', time: 'source', migration: 'source' }[kind] ?? kind;
}

function shuffled<T>(random: Random, list: readonly T[]): T[] {
  const rest = [...list];
  const result: T[] = [];
  while (rest.length > 0) result.push(...rest.splice(random.below(rest.length), 1));
  return result;
}
