import type { Position } from '../../core/position.ts';
import { origin } from '../../core/position.ts';
import type { SegmentHeader } from '../../core/segment.ts';

/** Two captures are on one shard, or files were changed by hand. */
export class BrokenChain extends Error {
  override readonly name = 'BrokenChain';
}

/** Where a segment stands in its chain. */
export type Link = Pick<SegmentHeader, 'seq' | 'from' | 'to'>;

/**
 * What a process knows of a shard's chain: every stored segment, ascending, each going on where the last one ends (I5).
 * So where one ends says where the next one begins, and that is all that is kept of each: an idle stream makes 72,000
 * segments an hour, and their headers would take five times the memory.
 */
export class SegmentChain {
  #ends: Position[] = [];
  #knownSince: number[] = [];
  /** Of each segment: bytes of all segments up to and including it, as far as they were appended here. */
  #bytesUpTo: number[] = [];
  #bytesDropped = 0;
  /** Of the oldest. */
  #seq = 0;
  #from = origin;
  /** The newest of each kind. */
  readonly #last: Partial<Record<SegmentHeader['kind'], SegmentHeader>> = {};
  #tail: SegmentHeader | undefined;

  get length(): number {
    return this.#ends.length;
  }

  get oldest(): Link | undefined {
    return this.from(0, 1)[0];
  }

  get tail(): SegmentHeader | undefined {
    return this.#tail;
  }

  last(kind: SegmentHeader['kind']): SegmentHeader | undefined {
    const header = this.#last[kind];
    return header && header.seq >= this.#seq ? header : undefined;
  }

  /** `bytes` of a segment that was appended here; 0 for one that was found. Throws BrokenChain. */
  push(header: SegmentHeader, bytes: number, nowMs: number): void {
    const { tail } = this;
    if (tail && !continues(tail, header)) throw new BrokenChain(`segment ${header.seq} of ${header.shard} begins at ${header.from}, and segment ${tail.seq} ends at ${tail.to}`);
    if (header.to < header.from) throw new BrokenChain(`segment ${header.seq} of ${header.shard} ends at ${header.to}, before it begins at ${header.from}`);
    if (!tail) {
      this.#seq = header.seq;
      this.#from = header.from;
    }
    this.#ends.push(header.to);
    this.#bytesUpTo.push((this.#bytesUpTo.at(-1) ?? this.#bytesDropped) + bytes);
    this.#knownSince.push(nowMs);
    this.#last[header.kind] = header;
    this.#tail = header;
  }

  /** Place of the first segment that ends above `after`; `length` if there is none. */
  placeAfter(after: Position): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ends[middle]! > after) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  from(place: number, most: number): readonly Link[] {
    return this.#ends.slice(place, place + most).map((to, index) => ({ seq: this.#seq + place + index, from: this.#ends[place + index - 1] ?? this.#from, to }));
  }

  bytesAfter(position: Position): number {
    const place = this.placeAfter(position);
    const upTo = (index: number) => this.#bytesUpTo[index] ?? this.#bytesDropped;
    return place === this.length ? 0 : upTo(this.length - 1) - upTo(place - 1);
  }

  /** How many of the oldest end at or below `position` and are known since before `beforeMs`. The tail always stays: the next capture continues it. */
  trimmable(position: Position, beforeMs: number): number {
    let count = 0;
    while (count < this.length - 1 && this.#ends[count]! <= position && this.#knownSince[count]! < beforeMs) count++;
    return count;
  }

  /** Forgets the oldest, fewer than all, and returns them. */
  drop(count: number): readonly Link[] {
    const dropped = this.from(0, count);
    this.#seq += count;
    this.#from = dropped.at(-1)?.to ?? this.#from;
    this.#bytesDropped = this.#bytesUpTo[count - 1] ?? this.#bytesDropped;
    this.#knownSince.splice(0, count);
    this.#bytesUpTo.splice(0, count);
    this.#ends.splice(0, count);
    return dropped;
  }
}

export function continues(before: Link, { seq, from }: Link): boolean {
  return before.seq + 1 === seq && before.to === from;
}
