import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { pause } from '../../core/clock.ts';
import type { Position } from '../../core/position.ts';
import type { Segment, SegmentHeader } from '../../core/segment.ts';
import { systemClock } from '../system-clock.ts';
import { openDirectorySpool } from './directory-spool.ts';
import type { Files } from './files.ts';
import { systemFiles } from './files.ts';
import { SegmentCache } from './segment-cache.ts';
import { SegmentReader } from './segment-reader.ts';
import type { Link } from './segment-chain.ts';
import { SegmentChain, continues } from './segment-chain.ts';
import type { Appender, SegmentLog } from './segment-log.ts';
import { SpoolLost, SpoolTooShort } from './segment-log.ts';
import type { Spool } from './spool.ts';

/**
 * `clock` and `files`: the machine's own, unless given. `doubtMs`: how long what a reader misses may still come again; when
 * files were deleted, the capture that finds it out may first have to be taken over.
 */
export type SegmentLogOptions = { readonly directory: string; readonly shard: string; readonly cacheBytes?: number; readonly clock?: Clock; readonly files?: Files; readonly doubtMs?: number };

export async function openSegmentLog({ directory, shard, cacheBytes = 48 << 20, clock = systemClock, files = systemFiles, doubtMs = 8_000 }: SegmentLogOptions): Promise<SegmentLog & Appender> {
  const log = new Log(shard, await openDirectorySpool(join(directory, shard), files, clock), { cacheBytes, clock, doubtMs });
  await log.refresh();
  return log;
}

/** How often a log looks for what another process appended: rarely while the capture is in this one. */
const lookMs = 100;
const rareLookMs = 2_000;
/** Longer than between two canaries of a quiet stream. */
const recentMs = 15_000;

class Log implements SegmentLog, Appender {
  readonly shard: string;
  readonly #spool: Spool;
  readonly #clock: Clock;
  readonly #doubtMs: number;
  #chain = new SegmentChain();
  /** It was known, and is not any more. */
  #isForgotten = false;
  #size: number | undefined;
  readonly #cache: SegmentCache;
  readonly #reader: SegmentReader;
  #appending: Promise<unknown> = Promise.resolve();
  #refreshing: Promise<unknown> = Promise.resolve();
  #trimming: Promise<unknown> = Promise.resolve();
  #changed = Promise.withResolvers<void>();
  #lastAppend = Number.NEGATIVE_INFINITY;
  #lastLook = Number.NEGATIVE_INFINITY;

  constructor(shard: string, spool: Spool, { cacheBytes, clock, doubtMs }: { cacheBytes: number; clock: Clock; doubtMs: number }) {
    this.shard = shard;
    this.#spool = spool;
    this.#clock = clock;
    this.#doubtMs = doubtMs;
    this.#cache = new SegmentCache(cacheBytes);
    this.#reader = new SegmentReader(shard, spool, this.#cache);
  }

  async tail(): Promise<SegmentHeader | undefined> {
    await this.refresh();
    return this.#chain.tail;
  }

  async lastEvents(): Promise<SegmentHeader | undefined> {
    await this.refresh();
    return this.#chain.last('events');
  }

  async lastClaim(): Promise<SegmentHeader | undefined> {
    await this.refresh();
    return this.#chain.last('claim');
  }

  async oldest(): Promise<Link | undefined> {
    await this.refresh();
    return this.#chain.oldest;
  }

  async read(after: Position, limits: { maxRows: number }, signal: AbortSignal): Promise<readonly Segment[]> {
    for (let isSure = false; ; ) {
      const place = this.#chain.placeAfter(after);
      if (place < this.#chain.length) {
        const segments = await this.#reader.read(this.#chain.from(place, maxSegments), after, limits.maxRows);
        if (segments) return segments;
        // they are gone; perhaps they were just deleted, and will come again
        if (isSure) throw new SpoolTooShort(this.shard, after, this.#chain.oldest!.from);
        this.#forget();
        await pause(this.#clock, this.#doubtMs, signal);
        await this.refresh();
        isSure = this.#chain.length > 0;
        if (isSure || !signal.aborted) continue;
      }
      if (signal.aborted) return [];
      await this.#waitForMore(signal);
      if (this.#chain.placeAfter(after) === this.#chain.length && !this.#hasJustLooked) await this.refresh();
    }
  }

  async next(first: number): Promise<number> {
    const tail = await this.tail();
    return tail ? tail.seq + 1 : (await this.#spool.floor()) || this.#spool.begin(first);
  }

  async startOver(): Promise<void> {
    const tail = await this.tail();
    if (tail) await this.#spool.trim(tail.seq + 1);
    this.#forget();
  }

  allocate(size: number): Uint8Array {
    return this.#cache.allocate(size);
  }

  release(segments: readonly Segment[]): void {
    for (const segment of segments) this.#cache.release(segment);
  }

  async append(segments: readonly Segment[]): Promise<'appended' | 'lost'> {
    const run = this.#appending.then(() => this.#append(segments));
    this.#appending = run.catch(() => {});
    return run;
  }

  async trim(position: Position, keepMs: number): Promise<void> {
    // one after another: each counts what is there when it begins
    const run = this.#trimming.then(() => this.#trim(position, keepMs));
    this.#trimming = run.catch(() => {});
    return run;
  }

  bytesAfter(position: Position): number {
    return this.#chain.bytesAfter(position);
  }

  async sizeAfter(position: Position): Promise<number> {
    const [next] = this.#chain.from(this.#chain.placeAfter(position), 1);
    return next ? this.#spool.size(next.seq) : 0;
  }

  passed(position: Position): void {
    const [next] = this.#chain.from(this.#chain.placeAfter(position), 1);
    this.#cache.forgetBelow(next?.seq ?? Number.POSITIVE_INFINITY);
  }

  /** Counted once, then kept: with an hour of small segments, counting takes a second. */
  async size(): Promise<number> {
    this.#size ??= await this.#spool.size();
    return this.#size;
  }

  free(): Promise<number> {
    return this.#spool.free();
  }

  /** Takes notice of what the spool has: at the start, of what other processes append, and of its loss. */
  async refresh(): Promise<void> {
    const run = this.#refreshing.then(() => this.#refresh());
    this.#refreshing = run.catch(() => {});
    return run;
  }

  async #refresh(): Promise<void> {
    this.#lastLook = this.#clock.steady();
    const { tail } = this.#chain;
    if (tail && !(await this.#spool.has(tail.seq))) this.#forget();
    const known = this.#chain.tail?.seq;
    if (known !== undefined && !(await this.#spool.has(known + 1))) return;
    const listed = known === undefined ? await this.#spool.list() : undefined;
    for (let at = 0; ; ) {
      // behind a known tail mostly one is new, and a list of all would cost more the more there are
      const wanted = listed ? listed.slice(at, at + headersAtOnce) : Array.from({ length: Math.min(headersAtOnce, at + 1) }, (_, index) => known! + 1 + at + index);
      const headers = await Promise.all(wanted.map((seq) => this.#reader.header(seq)));
      const end = headers.indexOf(undefined);
      // deleted or trimmed while we looked: the next look sees what is left
      if (listed && end >= 0) return this.#forget();
      // a zombie may just have brought back what was trimmed
      if (known !== undefined && (await this.#spool.floor()) > known) return this.#forget();
      if (!this.#take(known, headers.slice(0, end < 0 ? undefined : end) as SegmentHeader[])) return this.#forget();
      at += wanted.length;
      if (end >= 0 || at === listed?.length) return;
    }
  }

  /** False: another chain stands where the known one stood. */
  #take(known: number | undefined, headers: readonly SegmentHeader[]): boolean {
    for (const header of headers) {
      const last = this.#chain.tail;
      // an append of this process may have come in between
      if (last && header.seq <= last.seq) continue;
      if (last && last.seq === known && !continues(last, header)) return false;
      try {
        this.#push(header, 0);
      } catch (error) {
        // who looks again must find the hole again, and not what stands before it
        this.#forget();
        throw error;
      }
    }
    return true;
  }

  /** Somebody deleted the files: the log begins anew, where the sinks are. */
  #forget(): void {
    this.#isForgotten = true;
    this.#chain = new SegmentChain();
    this.#cache.forgetAll();
    this.#size = undefined;
  }

  async #append(segments: readonly Segment[]): Promise<'appended' | 'lost'> {
    const first = segments[0]!.header;
    // another capture in this process has gone on: no need to ask the spool
    const { tail } = this.#chain;
    if (tail && first.seq <= tail.seq) return 'lost';
    // what does not follow must not be there for a moment: others would find it, and take the spool for damaged
    if (tail ? !continues(tail, first) : this.#isForgotten && !(await this.#follows(first))) throw new SpoolLost(this.shard, first.seq);
    const outcome = await this.#spool.append(first.seq, segments.map((segment) => segment.bytes));
    if (outcome === 'lost') return 'lost';
    if (!(await this.#follows(first))) {
      await this.#spool.remove(segments.map(({ header }) => header.seq));
      this.#forget();
      throw new SpoolLost(this.shard, first.seq);
    }
    this.#lastAppend = this.#clock.steady();
    // what was known was forgotten meanwhile: what stands before these is read again
    if (this.#chain.tail?.seq !== first.seq - 1) await this.refresh();
    if (this.#size !== undefined) for (const { bytes } of segments) this.#size += bytes.length;
    for (const segment of segments) {
      this.#cache.look(segment);
      if (segment.header.seq <= (this.#chain.tail?.seq ?? -1)) continue;
      this.#cache.keep(segment);
      this.#push(segment.header, segment.bytes.length);
    }
    return 'appended';
  }

  /** Whether the segment before it is stored: its files may have been deleted, and others be there in their place. */
  async #follows({ seq, from }: SegmentHeader): Promise<boolean> {
    const before = await this.#reader.header(seq - 1);
    return before ? before.to === from : (await this.#spool.floor()) === seq;
  }

  async #trim(position: Position, keepMs: number): Promise<void> {
    // another may stand in its place meanwhile
    const chain = this.#chain;
    const count = chain.trimmable(position, this.#clock.now() - keepMs);
    if (count === 0) return;
    await this.#spool.trim(chain.from(count, 1)[0]!.seq);
    this.#size = undefined;
    for (const { seq } of chain.drop(count)) this.#cache.forget(seq);
  }

  #push(header: SegmentHeader, bytes: number): void {
    this.#chain.push(header, bytes, this.#clock.now());
    this.#isForgotten = false;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  get #lookMs(): number {
    return this.#clock.steady() - this.#lastAppend < recentMs ? rareLookMs : lookMs;
  }

  /** Another reader did: all lanes of a quiet stream wait here, and one of them looks for all. */
  get #hasJustLooked(): boolean {
    return this.#clock.steady() - this.#lastLook < this.#lookMs / 2;
  }

  async #waitForMore(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const cancel = this.#clock.after(this.#lookMs, wake);
    signal.addEventListener('abort', wake, { once: true });
    try {
      await Promise.race([promise, this.#changed.promise]);
    } finally {
      cancel();
      signal.removeEventListener('abort', wake);
    }
  }
}

/** Of a quiet stream that a lane has behind it, so many come together in one apply as make it worth its while. */
const maxSegments = 512;
const headersAtOnce = 32;
