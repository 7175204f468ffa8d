import type { Position } from '../../core/position.ts';
import type { SegmentHeader } from '../../core/segment.ts';

/** Two captures are on one shard, or files were changed by hand. */
export class BrokenChain extends Error {
  override readonly name = 'BrokenChain';
}

/** What a process knows of a shard's chain: every stored segment's header, ascending, each going on where the last one ends (I5). */
export class SegmentChain {
  #headers: SegmentHeader[] = [];
  #knownSince: number[] = [];
  /** Of each header: bytes of all segments up to and including its own, as far as they were appended here. */
  #bytesUpTo: number[] = [];

  get length(): number {
    return this.#headers.length;
  }

  get oldest(): SegmentHeader | undefined {
    return this.#headers[0];
  }

  get tail(): SegmentHeader | undefined {
    return this.#headers.at(-1);
  }

  last(kind: SegmentHeader['kind']): SegmentHeader | undefined {
    return this.#headers.findLast((header) => header.kind === kind);
  }

  /** `bytes` of a segment that was appended here; 0 for one that was found. Throws BrokenChain. */
  push(header: SegmentHeader, bytes: number, nowMs: number): void {
    const { tail } = this;
    if (tail && !continues(tail, header)) throw new BrokenChain(`segment ${header.seq} of ${header.shard} begins at ${header.from}, and segment ${tail.seq} ends at ${tail.to}`);
    if (header.to < header.from) throw new BrokenChain(`segment ${header.seq} of ${header.shard} ends at ${header.to}, before it begins at ${header.from}`);
    this.#headers.push(header);
    this.#bytesUpTo.push((this.#bytesUpTo.at(-1) ?? 0) + bytes);
    this.#knownSince.push(nowMs);
  }

  /** Place of the first segment that ends above `after`; `length` if there is none. */
  placeAfter(after: Position): number {
    let low = 0;
    let high = this.#headers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#headers[middle]!.to > after) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  from(place: number, most: number): readonly SegmentHeader[] {
    return this.#headers.slice(place, place + most);
  }

  bytesAfter(position: Position): number {
    const place = this.placeAfter(position);
    const upTo = (index: number) => this.#bytesUpTo[index] ?? 0;
    return place === this.length ? 0 : upTo(this.length - 1) - upTo(place - 1);
  }

  /** How many of the oldest end at or below `position` and are known since before `beforeMs`. The tail always stays: the next capture continues it. */
  trimmable(position: Position, beforeMs: number): number {
    let count = 0;
    while (count < this.length - 1 && this.#headers[count]!.to <= position && this.#knownSince[count]! < beforeMs) count++;
    return count;
  }

  /** Forgets the oldest, and returns them. */
  drop(count: number): readonly SegmentHeader[] {
    this.#knownSince.splice(0, count);
    this.#bytesUpTo.splice(0, count);
    return this.#headers.splice(0, count);
  }
}

export function continues(before: SegmentHeader, { seq, from }: SegmentHeader): boolean {
  return before.seq + 1 === seq && before.to === from;
}
