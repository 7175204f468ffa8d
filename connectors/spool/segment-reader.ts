import type { Position } from '../../core/position.ts';
import { openSegment, segmentHeader } from '../../core/segment-file.ts';
import { rowsAfter, type Segment, type SegmentHeader } from '../../core/segment.ts';
import type { SegmentCache } from './segment-cache.ts';
import type { Link } from './segment-chain.ts';
import { BrokenChain } from './segment-chain.ts';
import type { Spool } from './spool.ts';

/** A shard's stored segments: from memory those that are there. */
export class SegmentReader {
  readonly #shard: string;
  readonly #spool: Spool;
  readonly #cache: SegmentCache;
  readonly #reading = new Map<number, Reading>();

  constructor(shard: string, spool: Spool, cache: SegmentCache) {
    this.#shard = shard;
    this.#spool = spool;
    this.#cache = cache;
  }

  /** Undefined: there is none under this number. */
  async header(seq: number): Promise<SegmentHeader | undefined> {
    for (const length of [usualHeaderBytes, 1 << 16]) {
      const bytes = await this.#spool.read(seq, { length });
      const header = bytes && segmentHeader(bytes);
      if (header || !bytes) return header;
    }
    return (await this.#open(seq))?.header;
  }

  /**
   * The first of `links`, one behind the other, with at most about `maxRows` rows; the first one contains or follows `after`.
   * Undefined: it is not there. The caller looks at them from here on.
   */
  async read(links: readonly Link[], after: Position, maxRows: number): Promise<readonly Segment[] | undefined> {
    if (links[0]!.from > after) return undefined;
    const segments: Segment[] = [];
    let share = 0;
    let largestShare = 1;
    while (segments.length < links.length && share < 1) {
      // of small ones hundreds are wanted, of large ones not one more than must be
      const wanted = Math.min(readsAtOnce, Math.ceil((1 - share) / largestShare));
      const found = await Promise.all(links.slice(segments.length, segments.length + wanted).map((link) => this.#segment(link)));
      const missing = found.indexOf(undefined);
      const whole = found.slice(0, missing === -1 ? undefined : missing) as Segment[];
      const shares = whole.map((segment) => Math.max(rowsAfter(segment) / maxRows, segment.bytes.length / maxBytes));
      largestShare = Math.max(...shares, segments.length === 0 ? 0 : largestShare);
      for (const own of shares) share += own;
      segments.push(...whole);
      if (whole.length === found.length) continue;
      for (const segment of found.slice(whole.length)) if (segment) this.#cache.release(segment);
      return segments.length > 0 ? segments : undefined;
    }
    return segments;
  }

  /** Lanes that are behind follow each other: what one has read, the next one finds, and what one is reading, it waits for. */
  async #segment({ seq, from, to }: Link): Promise<Segment | undefined> {
    const cached = this.#cache.get(seq);
    if (cached) return cached;
    const reading = this.#reading.get(seq) ?? this.#begin(seq);
    reading.lookers++;
    const segment = await reading.segment;
    if (!segment) return undefined;
    // the files may have been deleted, and others be there under their numbers
    if (segment.header.from !== from || segment.header.to !== to) return void this.#cache.release(segment);
    this.#cache.keep(segment);
    return segment;
  }

  #begin(seq: number): Reading {
    const segment = this.#open(seq)
      .finally(() => this.#reading.delete(seq))
      .then((opened) => {
        // before the first of them can release it
        if (opened) for (let looker = 0; looker < reading.lookers; looker++) this.#cache.look(opened);
        return opened;
      });
    const reading = { segment, lookers: 0 };
    this.#reading.set(seq, reading);
    return reading;
  }

  async #open(seq: number): Promise<Segment | undefined> {
    const bytes = await this.#spool.read(seq, { allocate: (size) => this.#cache.allocate(size) });
    if (!bytes) return undefined;
    const segment = openSegment(bytes, { verify: true });
    if (segment.header.seq !== seq || segment.header.shard !== this.#shard) throw new BrokenChain(`file ${seq} of ${this.#shard} holds segment ${segment.header.seq} of ${segment.header.shard}`);
    return segment;
  }
}

/** From the spool, for as many as wait for it. */
type Reading = { readonly segment: Promise<Segment | undefined>; lookers: number };

/** Of what several lanes read apart from each other, each has its own; more than lanes gather (lane-loop.ts), and two of a catch-up's segments. */
const maxBytes = 12 << 20;
const readsAtOnce = 16;
const usualHeaderBytes = 8_192;
