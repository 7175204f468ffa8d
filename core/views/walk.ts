import { eventsTable } from '../capture/assembler.ts';
import type { Pipeline } from '../pipeline.ts';
import type { Position } from '../position.ts';
import { parsePosition, position, positionWords } from '../position.ts';
import type { Segment, Truncate } from '../segment.ts';
import { Folder } from './fold.ts';
import type { Folded, PaneRange } from './fold.ts';
import type { PaneSet } from './panes.ts';
import { rebuildingOf, type Rebuilding } from './rebuilding.ts';
import type { Clocks } from './watermark.ts';
import { boundsAt, nextChange } from './watermark.ts';

/** What happens to a pipeline's views, in stream order. */
export type Step =
  /** One for each pane set, in their order; between two crossings and truncates. */
  | { readonly kind: 'fold'; readonly folds: readonly Folded[] }
  /** The event table was emptied here (E8). */
  | { readonly kind: 'truncate'; readonly position: Position }
  /** At the end of this transaction the clock passed a bound of some pane set. */
  | { readonly kind: 'crossing'; readonly position: Position; readonly before: Clocks; readonly after: Clocks };

/**
 * The way of the aggregate lane through segments: where to fold, where windows close. Between two crossings all bounds
 * stand still, so one fold can take everything there; crossings are at ends of complete transactions, never at cuts.
 */
export class Walk {
  readonly #pipeline: Pipeline;
  readonly #sets: readonly PaneSet[];
  readonly #folders: readonly Folder[];
  /** By set. */
  #rebuilding: readonly (PaneRange | undefined)[] = [];

  constructor(pipeline: Pipeline, sets: readonly PaneSet[]) {
    this.#pipeline = pipeline;
    this.#sets = sets;
    this.#folders = sets.map((set) => new Folder(pipeline.source.events, set, pipeline.settings.maxFutureMs));
  }

  /** The steps of the events in (from, to]; returns the clocks behind them. What they change in panes of `rebuilding` is also kept. */
  *steps(segments: readonly Segment[], from: Position, to: Position, clocks: Clocks, rebuilding: readonly Rebuilding[] = []): Generator<Step, Clocks> {
    this.#rebuilding = this.#sets.map((set) => rebuildingOf(rebuilding, set));
    let now = clocks;
    let next = this.#nextChange(now);
    for (const segment of segments) {
      if (segment.header.to <= from || segment.header.from >= to) continue;
      const { transactions } = segment;
      const truncates = segment.truncates.filter((each) => each.table === eventsTable && each.position > from && each.position <= to);
      const window = windowOf(segment, from, to);
      let done: Place = { transaction: window.first, after: from };
      for (let transaction = window.first; transaction < window.last; transaction++) {
        for (const { position: at } of truncatesOf(truncates, transaction)) {
          yield* this.#fold(segment, done, { toTransaction: transaction + 1, upTo: at }, now);
          yield { kind: 'truncate', position: at };
          done = { transaction, after: at };
        }
        if (transaction >= window.ended || !transactions.complete[transaction]) continue;
        const clock = transactions.clocks[transaction]!;
        if (clock <= now.clock) continue;
        const before = now;
        if (clock >= next) {
          yield* this.#fold(segment, done, { toTransaction: transaction + 1, upTo: to }, before);
          now = { ...now, clock };
          yield { kind: 'crossing', position: endOf(segment, transaction), before, after: now };
          done = { transaction: transaction + 1, after: done.after };
          next = this.#nextChange(now);
        } else now = { ...now, clock };
      }
      this.#add(segment, done, { toTransaction: window.last, upTo: to }, now);
    }
    yield* this.#take();
    return now;
  }

  *#fold(segment: Segment, from: Place, to: { toTransaction: number; upTo: Position }, clocks: Clocks): Generator<Step> {
    this.#add(segment, from, to, clocks);
    yield* this.#take();
  }

  #add(segment: Segment, from: Place, to: { toTransaction: number; upTo: Position }, clocks: Clocks): void {
    this.#sets.forEach(({ paneMs }, index) => {
      const { closedBeforeMs } = boundsAt(clocks, paneMs, this.#pipeline.settings);
      this.#folders[index]!.add(segment, { fromTransaction: from.transaction, after: from.after, ...to, closedBeforeMs, rebuilding: this.#rebuilding[index] });
    });
  }

  *#take(): Generator<Step> {
    const folds = this.#folders.map((folder) => folder.take());
    if (folds.some(({ deltas, aside, kept }) => deltas.count > 0 || aside.length > 0 || kept.length > 0)) yield { kind: 'fold', folds };
  }

  #nextChange({ clock }: Clocks): number {
    return Math.min(...this.#sets.map(({ paneMs }) => nextChange(clock, paneMs, this.#pipeline.settings)));
  }
}

type Place = { readonly transaction: number; readonly after: Position };

/** The transactions with a part in (from, to]: [first, last); those before `ended` end there. */
function windowOf(segment: Segment, from: Position, to: Position): { first: number; last: number; ended: number } {
  return { first: endedBy(segment, from), last: begunBy(segment, to), ended: endedBy(segment, to) };
}

/** How many leading transactions have their last position at or below `limit`. */
function endedBy(segment: Segment, limit: Position): number {
  const { count, lastOrdinals } = segment.transactions;
  const [ordinal] = positionWords(limit);
  return countWhile(count, (transaction) => {
    const order = compareLsn(segment, transaction, limit);
    return order < 0 || (order === 0 && lastOrdinals[transaction]! <= ordinal);
  });
}

/** How many leading transactions can have events at or below `limit`. */
function begunBy(segment: Segment, limit: Position): number {
  return countWhile(segment.transactions.count, (transaction) => compareLsn(segment, transaction, limit) <= 0);
}

function compareLsn(segment: Segment, transaction: number, limit: Position): number {
  const [, low, high, epoch] = positionWords(limit);
  const { lsns } = segment.transactions;
  return parsePosition(segment.header.to).epoch - epoch || lsns[transaction * 2 + 1]! - high || lsns[transaction * 2]! - low;
}

function countWhile(count: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function truncatesOf(truncates: readonly Truncate[], transaction: number): readonly Truncate[] {
  return truncates.length === 0 ? truncates : truncates.filter((each) => each.transaction === transaction);
}

function endOf(segment: Segment, transaction: number): Position {
  const { lsns, lastOrdinals } = segment.transactions;
  const lsn = (BigInt(lsns[transaction * 2 + 1]!) << 32n) | BigInt(lsns[transaction * 2]!);
  return position(parsePosition(segment.header.to).epoch, lsn, lastOrdinals[transaction]!);
}
