import { Random } from '../../bench/load/random.ts';

/** One schedule: limits, what the source does, and what goes wrong when. Times in milliseconds from the beginning. */
export type Plan = { readonly seed: number; readonly knobs: Knobs; readonly items: readonly Item[] };

export type Knobs = {
  readonly segmentRows: number;
  readonly maxSlotLagBytes: number;
  readonly spoolKeepMs: number;
  readonly cacheBytes: number;
  /** How many rows one apply takes at most, about. */
  readonly applyRows: number;
  readonly messageRows: number;
  readonly inFlight: number;
  /** It has views that are divided by a value, which cost nearly half as much as all the rest. */
  readonly divided: boolean;
};

export type Item = { readonly atMs: number } & (
  | { readonly kind: 'transaction'; readonly changes: readonly Change[]; readonly openMs: number }
  | { readonly kind: 'kill' }
  | { readonly kind: 'power failure' }
  | { readonly kind: 'stop'; readonly forMs: number }
  | { readonly kind: 'second worker'; readonly forMs: number }
  | { readonly kind: 'graceful restart' }
  | { readonly kind: 'attempt given up'; readonly part: Part }
  | { readonly kind: 'pause'; readonly forMs: number }
  | { readonly kind: 'rotate' }
  | { readonly kind: 'clock'; readonly skewMs: number }
  | { readonly kind: 'walsender ends' }
  | { readonly kind: 'source restarts'; readonly forMs: number }
  | { readonly kind: 'promotion'; readonly lost: number; readonly forMs: number }
  | { readonly kind: 'slot dropped' }
  | { readonly kind: 'spool deleted' }
  | { readonly kind: 'disk slow'; readonly byMs: number; readonly forMs: number }
  | { readonly kind: 'sink fails'; readonly sink: SinkName; readonly how: SinkFailure; readonly byMs: number; readonly forMs: number }
  | { readonly kind: 'sink set back'; readonly sink: 'enriched' | 'live'; readonly byMs: number }
  | { readonly kind: 'redis emptied'; readonly structuresOnly: boolean }
  /** From so long before on. */
  | { readonly kind: 'backfill'; readonly backMs: number; readonly lengthMs: number }
  /** `emptied`: its table is dropped before, and made again. `replacedAfterMs`: likewise in its midst, which no call that is under way is told; 0: not. */
  | { readonly kind: 'rewrite'; readonly emptied: boolean; readonly replacedAfterMs: number }
  /** It gets another name; `within`: in the midst of a transaction. What becomes of it is decided some time after it was met. */
  | { readonly kind: 'column renamed'; readonly column: RenamedColumn; readonly within: boolean; readonly decidedAfterMs: number }
);

export type RenamedColumn = 'id' | 'k' | 'at' | 'points' | 'title';

/** Faults that have these properties. */
export type Fault = { readonly kind: Exclude<Item['kind'], 'transaction'> } & Readonly<Record<string, unknown>>;

/** refuse: nothing happens. lost reply: it happens, and an error is the answer. half: a part of it happens, then an error. slow: it takes `byMs`. */
export type SinkFailure = 'refuse' | 'lost reply' | 'half' | 'slow';
export type SinkName = 'state' | 'enriched' | 'live' | 'external';
export type Part = 'capture' | 'aggregate' | 'enriched' | 'live' | 'external' | 'out';

export type Change = {
  readonly kind: 'insert' | 'update' | 'rekey' | 'delete' | 'truncate' | 'post' | 'unpost' | 'truncate posts';
  readonly slot: number;
  readonly k: string | null;
  /** How long before its commit an event says that it was, milliseconds; negative: after. */
  readonly lagMs: number;
  readonly points: string | null;
};

export const lastMs = 3_200;
export const longestOpenMs = 500;

export type PlanOptions = { readonly only?: readonly Fault[] | undefined; readonly knobs?: Partial<Knobs> | undefined; readonly rewrites?: boolean | undefined; readonly renames?: boolean | undefined; readonly stalls?: boolean };

const standing: readonly Fault[] = [{ kind: 'kill' }, { kind: 'stop' }, { kind: 'second worker' }, { kind: 'attempt given up', part: 'capture' }, { kind: 'walsender ends' }, { kind: 'source restarts' }, { kind: 'disk slow' }, { kind: 'pause' }, { kind: 'rotate' }];
const small: Partial<Knobs> = { maxSlotLagBytes: 3_000, segmentRows: 2, divided: false };

/**
 * What a seed stands for. `only`: nothing goes wrong but what is like one of these. `rewrites`: and the rows of the versioned
 * table are written again, once or more often. `renames`: and columns of the source get other names.
 * `stalls`: likewise, and mostly whole processes stand still and go on, beside others, while much is kept and trimmed.
 */
export function planOf(seed: number, { stalls = false, only = stalls ? standing : undefined, knobs: fixed = stalls ? small : {}, rewrites = false, renames = stalls }: PlanOptions = {}): Plan {
  const random = new Random(seed);
  const knobs = {
    segmentRows: random.pick([2, 5, 1_000]),
    maxSlotLagBytes: random.pick([3_000, 1 << 30, 1 << 30]),
    spoolKeepMs: random.pick([0, 1_000, 3_600_000]),
    cacheBytes: random.pick([0, 1 << 20]),
    applyRows: random.pick([1, 8, 1_000]),
    messageRows: random.pick([1, 3, 100]),
    inFlight: random.pick([1, 3]),
  };
  const items: Item[] = [];
  const transactions = 5 + random.below(20);
  for (let count = 0; count < transactions; count++) items.push(transactionAt(random, random.below(lastMs)));
  const faults = random.below(7) + (stalls ? 4 : 0);
  for (let count = 0; count < faults; count++) items.push(faultAt(random, random.below(lastMs), only));
  if (rewrites) for (let count = random.below(3); count >= 0; count--) items.push({ atMs: 300 + random.below(lastMs - 300), kind: 'rewrite', emptied: random.next() < 0.7, replacedAfterMs: random.pick([0, 0, 3, 10, 30, 100]) });
  const divided = random.next() < 0.3;
  if (renames) for (let count = random.below(2); count >= 0; count--) items.push(renameAt(random, 300 + random.below(lastMs - 1_000)));
  items.sort((a, b) => a.atMs - b.atMs);
  return { seed, knobs: { ...knobs, divided, ...fixed }, items: items.some(({ kind }) => kind === 'backfill' || kind === 'rewrite' || kind === 'column renamed') ? items.map(withoutLoss) : items };
}

function renameAt(random: Random, atMs: number): Item {
  return { atMs, kind: 'column renamed', column: random.pick<RenamedColumn>(['id', 'k', 'at', 'points', 'title']), within: random.next() < 0.5, decidedAfterMs: random.pick([0, 300, 1_500]) };
}

/** What a backfill has read of a lost timeline, or what was decided of a column there, nobody would miss (decision 15). */
function withoutLoss(item: Item): Item {
  return item.kind === 'promotion' ? { ...item, lost: 0 } : item;
}

function transactionAt(random: Random, atMs: number): Item {
  const size = random.next() < 0.08 ? 8 + random.below(20) : random.below(5);
  const changes = Array.from({ length: size }, () => change(random));
  return { atMs, kind: 'transaction', changes, openMs: random.next() < 0.1 ? random.below(longestOpenMs) : random.below(20) };
}

function change(random: Random): Change {
  const kind = weighted<Change['kind']>(random, [
    [30, 'insert'],
    [7, 'update'],
    [4, 'rekey'],
    [5, 'delete'],
    [1, 'truncate'],
    [6, 'post'],
    [2, 'unpost'],
    [0.5, 'truncate posts'],
  ]);
  const lagMs = weighted<number>(random, [
    [10, random.below(600)],
    [4, random.below(6_000)],
    [1, -random.below(4_000)],
    [0.5, -1_000_000_000],
  ]);
  return { kind, slot: random.below(1_000), k: random.pick(['a', 'b', 'c', 'ü', null]), lagMs, points: random.pick(pointsOfRows) };
}

/** The greatest two have one bucket of quantiles, and the last and 1 one register of distinct values, with ranks 5 and 2 (decision 22). */
const pointsOfRows = ['0', '1', '2', '-3', '2147483647', null, '2126013220'];

function faultAt(random: Random, atMs: number, only: readonly Fault[] | undefined): Item {
  for (;;) {
    const fault = anyFault(random, atMs);
    if (!only || only.some((wanted) => Object.entries(wanted).every(([name, value]) => fault[name as keyof Item] === value))) return fault;
  }
}

function anyFault(random: Random, atMs: number): Item {
  const forMs = random.below(2_000);
  const sink = random.pick<SinkName>(['state', 'enriched', 'live', 'external']);
  return weighted<() => Item>(random, [
    [6, () => ({ atMs, kind: 'kill' })],
    [3, () => ({ atMs, kind: 'power failure' })],
    [4, () => ({ atMs, kind: 'stop', forMs: 500 + forMs * 2 })],
    [3, () => ({ atMs, kind: 'second worker', forMs })],
    [2, () => ({ atMs, kind: 'graceful restart' })],
    [3, () => ({ atMs, kind: 'attempt given up', part: random.pick<Part>(['capture', 'aggregate', 'enriched', 'live', 'external', 'out']) })],
    [2, () => ({ atMs, kind: 'pause', forMs })],
    [2, () => ({ atMs, kind: 'rotate' })],
    [1, () => ({ atMs, kind: 'clock', skewMs: random.pick([-3_600_000, 3_600_000]) })],
    [3, () => ({ atMs, kind: 'walsender ends' })],
    [2, () => ({ atMs, kind: 'source restarts', forMs })],
    [1.5, () => ({ atMs, kind: 'promotion', lost: random.pick([0, 0, 1, 3]), forMs })],
    [0.3, () => ({ atMs, kind: 'slot dropped' })],
    [1.5, () => ({ atMs, kind: 'spool deleted' })],
    [2, () => ({ atMs, kind: 'disk slow', byMs: 50 + random.below(300), forMs })],
    [8, () => ({ atMs, kind: 'sink fails', sink, how: random.pick<SinkFailure>(['refuse', 'lost reply', 'half', 'slow']), byMs: random.pick([100, 400, 1_500]), forMs })],
    [1.5, () => ({ atMs, kind: 'sink set back', sink: random.pick(['enriched', 'live'] as const), byMs: random.below(3_000) })],
    [3, () => ({ atMs, kind: 'backfill', ...timeBack(random) })],
    [1.5, () => ({ atMs, kind: 'redis emptied', structuresOnly: random.next() < 0.5 })],
  ])();
}

/** Mostly of windows that have just closed, where the stream still changes something; seldom of one that is open, which is refused. */
function timeBack(random: Random): { readonly backMs: number; readonly lengthMs: number } {
  const backMs = 1_300 + random.below(3_000);
  return { backMs, lengthMs: Math.max(1, backMs - 1_100 - random.below(600)) };
}

function weighted<T>(random: Random, choices: readonly (readonly [weight: number, value: T])[]): T {
  let left = random.next() * choices.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, value] of choices) {
    left -= weight;
    if (left < 0) return value;
  }
  return choices.at(-1)![1];
}
