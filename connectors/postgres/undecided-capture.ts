import { definitionHash } from '../../core/define/definition-hash.ts';
import { killPoint } from '../../core/kill-point.ts';
import type { Lsn, Position } from '../../core/position.ts';
import { parseLsn, parsePosition } from '../../core/position.ts';
import { quietAfterMs, quietCanaries } from '../../core/quiet-canary.ts';
import { encodeSegment, openSegment } from '../../core/segment-file.ts';
import type { Segment, SegmentHeader } from '../../core/segment.ts';
import { BackPressure } from './back-pressure.ts';
import { explain, type CaptureOptions, type CaptureProgress } from './capture.ts';
import { Confirmation } from './confirmation.ts';
import { smallestOf } from './fences.ts';
import { UndecidedWriter } from './pgoutput/undecided-writer.ts';
import { SegmentWriter } from './segment-writer.ts';
import type { Source, SourceStream } from './source.ts';
import { sourceNames, type SourceCatalog } from './source-catalog.ts';
import { SpoolRoom, spareBytes } from './spool-room.ts';
import { StreamCheck } from './stream-check.ts';
import { readStreamEnd } from './stream-gap.ts';
import { claimUndecided, undecidedEnd, type UndecidedLog } from './undecided-log.ts';

export type UndecidedOptions = Pick<CaptureOptions, 'pipeline' | 'log' | 'connect' | 'clock' | 'captureId' | 'shard' | 'readConfirmed' | 'recordConfirmed' | 'fences' | 'signal'> & {
  readonly undecided: UndecidedLog;
  /** Where the spool ends: what follows waits for a decision. */
  readonly tail: Position;
  readonly onProgress: (progress: Pick<CaptureProgress, 'slotLagBytes' | 'spoolBytes' | 'spoolBudgetBytes'>) => void;
};

/**
 * Keeps the stream behind `tail` as it comes, until the signal aborts, so that the source need not keep all of it while
 * somebody makes up his mind. It is confirmed as the spool is: no lane can have it, so once the slot holds back more than
 * maxSlotLag. Throws as `capture`. superseded: another capture has claimed it.
 */
export async function spoolUndecided(options: UndecidedOptions): Promise<'stopped' | 'superseded'> {
  try {
    const source = await options.connect();
    try {
      return await new UndecidedCapture(options, source).run();
    } finally {
      await source.close();
    }
  } catch (error) {
    throw explain(error, options.pipeline.name);
  }
}

class UndecidedCapture {
  readonly #options: UndecidedOptions;
  readonly #source: Source;
  readonly #outcome = Promise.withResolvers<'stopped' | 'superseded'>();
  readonly #writer: SegmentWriter;
  readonly #room: SpoolRoom;
  readonly #endLsns = new Map<number, { readonly to: Position; readonly endLsn: Lsn }>();
  #messages!: UndecidedWriter;
  #confirmation!: Confirmation;
  #pressure: BackPressure | undefined;
  #lastEventMs: number;
  /** It is to be cut as soon as no transaction is open. */
  #isDue = false;

  constructor(options: UndecidedOptions, source: Source) {
    const { log, undecided } = options;
    this.#options = options;
    this.#source = source;
    this.#lastEventMs = options.clock.steady();
    this.#outcome.promise.catch(() => {});
    this.#writer = new SegmentWriter(undecided, { onAppended: (segments) => this.#appended(segments), onLost: () => this.#outcome.resolve('superseded'), onError: (error) => this.#outcome.reject(error) });
    // both have one budget. On a full disk it leaves twice the room that a capture does, which is to read it from here into there
    this.#room = new SpoolRoom({ size: async () => (await log.size()) + (await undecided.size()), free: async () => (await undecided.free()) - spareBytes, trim: (position, keepMs) => log.trim(position, keepMs) }, options.pipeline.settings);
  }

  async run(): Promise<'stopped' | 'superseded'> {
    const { pipeline, log, undecided, tail, shard, fences, clock, signal, recordConfirmed } = this.#options;
    const catalog = await this.#source.catalog();
    const check = new StreamCheck({ ...this.#options, start: tail, reached: tail }, this.#source, catalog);
    const timeline = await check.begin();
    await this.#room.make(smallestOf(fences()));
    const claim = await this.#claim(catalog, timeline, check.kept);
    if (!claim) return 'superseded';
    const last = await undecided.lastEvents();
    this.#messages = new UndecidedWriter({ pipeline: pipeline.name, shard: undecided.shard, captureId: this.#options.captureId, epoch: shard.epoch, after: claim, lastLsn: last?.to === claim.to ? last.lastEventLsn : undefined });
    const end = (await undecidedEnd(undecided, tail)) ?? (await readStreamEnd(log, tail));
    const confirmed = await check.takeOver(end);
    this.#confirmation = new Confirmation({ pipeline, fences, record: recordConfirmed, timeline, confirmed, keepBytes: catalog.keepBytes });
    this.#confirmation.walEnd(catalog.walEnd);
    this.#confirmation.spooled(end.position, end.endLsn);
    // as text: of what type a column is for the pipeline, nobody knows yet
    const stream = await this.#source.stream(parsePosition(claim.to).lsn, false, {
      message: (bytes, start, messageEnd, walHigh, walLow) => this.#message(bytes, start, messageEnd, walHigh, walLow),
      server: (endHigh, endLow) => this.#confirmation.serverEnd(endHigh, endLow),
    });
    const stop = () => this.#outcome.resolve('stopped');
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    this.#pressure = new BackPressure(clock, stream, () => this.#writer.queuedBytes > maxQueuedBytes || this.#room.isFull);
    this.#pressure.balance();
    const timers = this.#startTimers(stream, check);
    try {
      const reason = await Promise.race([this.#outcome.promise, this.#source.gone, stream.ended.then((): never => { throw new Error('the replication stream ended'); })]);
      if (reason === 'stopped') await Promise.race([this.#finish(stream), this.#source.gone]);
      return reason;
    } finally {
      for (const each of timers) each();
      this.#pressure.end();
      signal.removeEventListener('abort', stop);
      stream.close();
      await this.#writer.drained();
    }
  }

  #claim({ systemIdentifier, walEnd }: SourceCatalog, timeline: number, kept: SegmentHeader | undefined): Promise<SegmentHeader | undefined> {
    const { pipeline, undecided, captureId, shard: { epoch }, tail } = this.#options;
    const claim = { definitionHash: definitionHash(pipeline), systemIdentifier, timeline, epoch, slot: sourceNames(pipeline.name).slot, binary: false };
    return claimUndecided(undecided, { captureId, claim, firstSeq: Number(walEnd) }, kept, tail);
  }

  #message(bytes: Buffer, start: number, end: number, walHigh: number, walLow: number): void {
    const { segmentBytes } = this.#options.pipeline.settings;
    this.#messages.message(bytes, start, end, walHigh, walLow);
    killPoint('capture/received');
    if (this.#messages.bytes >= 2 * segmentBytes) this.#emit();
    else if (this.#isDue || this.#messages.bytes >= segmentBytes) this.#cut();
  }

  /** At the end of a transaction, if it may be: only what is whole is confirmed. */
  #cut(): void {
    this.#isDue = this.#messages.inTransaction;
    if (!this.#isDue && !this.#messages.isEmpty) this.#emit();
  }

  #cutDue(): void {
    try {
      this.#cut();
    } catch (error) {
      // thrown out of a timer it would end the whole worker
      this.#outcome.reject(error);
    }
  }

  #emit(): void {
    if (this.#messages.events > 0) this.#lastEventMs = this.#options.clock.steady();
    const content = this.#messages.cut();
    const segment = openSegment(encodeSegment(content, (size) => this.#options.undecided.allocate(size)), { verify: false });
    const { seq, to, endLsn } = content.header;
    if (endLsn !== undefined) this.#endLsns.set(seq, { to, endLsn: parseLsn(endLsn) });
    this.#writer.push(segment);
    this.#pressure?.balance();
  }

  #appended(segments: readonly Segment[]): void {
    for (const { header: { seq }, bytes } of segments) {
      this.#room.appended(bytes.length);
      const end = this.#endLsns.get(seq);
      if (end) this.#confirmation.spooled(end.to, end.endLsn);
      this.#endLsns.delete(seq);
    }
    // nobody reads it soon
    this.#options.undecided.passed(segments.at(-1)!.header.to);
    this.#pressure?.balance();
    this.#report();
  }

  /** Returns what ends them. */
  #startTimers(stream: SourceStream, check: StreamCheck): (() => void)[] {
    const { pipeline, clock, fences } = this.#options;
    const fail = (error: unknown) => this.#outcome.reject(error);
    let canaries = 0;
    const canary = () => {
      const isQuiet = clock.steady() - this.#lastEventMs > quietAfterMs(pipeline.settings);
      if (isQuiet && canaries++ % quietCanaries > 0) return;
      void this.#source.letSlotFollow().catch(() => {}).then(() => this.#source.emitCanary()).catch(fail);
    };
    canary();
    const acknowledge = async () => {
      this.#report();
      await check.assertNoneAhead(this.#confirmation.knownWalEnd);
      await this.#confirmation.confirm(stream);
    };
    const tidy = async () => {
      await this.#source.assertPublication();
      await this.#room.make(smallestOf(fences()));
      this.#confirmation.walEnd(await this.#source.walEnd());
      this.#pressure?.balance();
    };
    return [clock.every(pipeline.settings.canaryMs, canary), clock.every(lingerMs, () => this.#cutDue()), clock.every(1_000, () => void acknowledge().catch(fail)), clock.every(10_000, () => void tidy().catch(fail))];
  }

  async #finish(stream: SourceStream): Promise<void> {
    this.#pressure?.end();
    this.#cut();
    await this.#writer.drained();
    await this.#confirmation.confirm(stream);
  }

  #report(): void {
    this.#options.onProgress({ slotLagBytes: this.#confirmation.slotLagBytes, spoolBytes: this.#room.bytes, spoolBudgetBytes: this.#room.budgetBytes });
  }
}

/** Nobody waits for it, and each segment costs a file. */
const lingerMs = 2_000;
const maxQueuedBytes = 32 << 20;
