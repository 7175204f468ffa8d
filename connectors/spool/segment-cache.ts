import type { Segment } from '../../core/segment.ts';
import { SegmentMemory } from './segment-memory.ts';

/**
 * The segments that were appended or read last, and who looks at them. A segment's memory is used again once it is not
 * kept any more and everyone who looked at it has said that he is done.
 */
export class SegmentCache {
  readonly #most: number;
  readonly #memory = new SegmentMemory();
  readonly #kept = new Map<number, Segment>();
  /** Memory of those that are kept. */
  #bytes = 0;
  readonly #lookers = new WeakMap<Segment, number>();

  constructor(mostBytes: number) {
    this.#most = mostBytes;
  }

  allocate(size: number): Uint8Array {
    return this.#memory.take(size);
  }

  /** The caller looks at what it gets, until it releases it. */
  get(seq: number): Segment | undefined {
    const segment = this.#kept.get(seq);
    return segment && this.look(segment);
  }

  /** Somebody has it and will release it. */
  look(segment: Segment): Segment {
    this.#lookers.set(segment, (this.#lookers.get(segment) ?? 0) + 1);
    return segment;
  }

  release(segment: Segment): void {
    const looking = this.#lookers.get(segment);
    if (looking === undefined) throw new RangeError(`segment ${segment.header.seq} of ${segment.header.shard} was released by somebody who did not look at it`);
    if (looking > 1) this.#lookers.set(segment, looking - 1);
    else {
      this.#lookers.delete(segment);
      this.#reuse(segment);
    }
  }

  keep(segment: Segment): void {
    this.forget(segment.header.seq);
    this.#kept.set(segment.header.seq, segment);
    this.#bytes += costOf(segment);
    for (const seq of this.#kept.keys()) {
      if (this.#bytes <= this.#most) return;
      this.forget(seq);
    }
  }

  forget(seq: number): void {
    const segment = this.#kept.get(seq);
    if (!segment) return;
    this.#kept.delete(seq);
    this.#bytes -= costOf(segment);
    this.#reuse(segment);
  }

  /** Nobody will ask for these: their memory is used again, or goes. */
  forgetBelow(seq: number): void {
    for (const kept of this.#kept.keys()) if (kept < seq) this.forget(kept);
  }

  get size(): number {
    return this.#kept.size;
  }

  forgetAll(): void {
    for (const seq of this.#kept.keys()) this.forget(seq);
  }

  #reuse(segment: Segment): void {
    if (!this.#lookers.has(segment) && this.#kept.get(segment.header.seq) !== segment) this.#memory.give(segment.bytes);
  }
}

/** What is made of its bytes, views of the columns and what HTTP prepares to write them, is most of a small segment: 12 to 20 kB were measured. */
function costOf({ bytes }: Segment): number {
  return bytes.buffer.byteLength + objectBytes;
}

const objectBytes = 20 << 10;
