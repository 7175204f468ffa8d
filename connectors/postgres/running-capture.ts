import type { AssembledSegment } from '../../core/capture/assembler.ts';
import { SegmentAssembler } from '../../core/capture/assembler.ts';
import { beforeColumns } from '../../core/define/before-columns.ts';
import { definitionHash } from '../../core/define/definition-hash.ts';
import { pause } from '../../core/clock.ts';
import { killPoint } from '../../core/kill-point.ts';
import { parsePosition } from '../../core/position.ts';
import { quietAfterMs, quietCanaries } from '../../core/quiet-canary.ts';
import { encodeSegment, openSegment } from '../../core/segment-file.ts';
import type { Segment } from '../../core/segment.ts';
import { LanePace } from './lane-pace.ts';
import { Linger } from './linger.ts';
import { ColumnWatch, type FoundColumns } from './column-watch.ts';
import { PgoutputDecoder } from './pgoutput/decoder.ts';
import { SchemaChanged } from './pgoutput/relation.ts';
import { SegmentWriter } from './segment-writer.ts';
import { BackPressure } from './back-pressure.ts';
import type { CaptureOptions, CaptureResult } from './capture.ts';
import { appendClaim } from './claim.ts';
import { Confirmation } from './confirmation.ts';
import { greatestOf, smallestOf } from './fences.ts';
import { KeptStream } from './kept-stream.ts';
import type { Source, SourceStream } from './source.ts';
import type { SourceCatalog } from './source-catalog.ts';
import { sourceNames } from './source-catalog.ts';
import { SpoolRoom } from './spool-room.ts';
import { Spooled } from './spooled.ts';
import type { StreamCheck } from './stream-check.ts';
import { readStreamEnd } from './stream-gap.ts';
import type { UndecidedClaim } from './undecided-log.ts';

/** What is looked at anew in each step, by a connection that it opens. */
export type Step = { readonly options: CaptureOptions; readonly source: Source; readonly catalog: SourceCatalog; readonly check: StreamCheck; readonly timeline: number };

/** A capture from its claim on: through one step, and while it stands between two. */
export class RunningCapture {
  /** Of the step that runs, or ran last. */
  #options: CaptureOptions;
  readonly #captureId: string;
  #outcome = newOutcome();
  readonly #pace: LanePace;
  readonly #writer: SegmentWriter;
  readonly #room: SpoolRoom;
  #confirmation!: Confirmation;
  #assembler!: SegmentAssembler;
  #decoder!: PgoutputDecoder;
  #columns!: ColumnWatch;
  /** What follows is of other columns: nothing of it is taken. */
  #changed: FoundColumns | SchemaChanged | undefined;
  #stream: SourceStream | undefined;
  #isClosed = false;
  readonly #kept: KeptStream;
  #began: Pick<Step, 'catalog' | 'timeline'> | undefined;
  /** Not yet when the first messages come. */
  #pressure: BackPressure | undefined;
  readonly #linger: Linger;
  readonly #spooled: Spooled;

  constructor(options: CaptureOptions) {
    this.#options = options;
    this.#captureId = options.captureId;
    this.#spooled = new Spooled(options.start, options.lastEventMs ?? options.clock.steady());
    this.#kept = new KeptStream(options.undecided);
    this.#room = new SpoolRoom(options.log, options.pipeline.settings);
    this.#linger = new Linger(options.clock, options.pipeline.settings.lingerMs, { rows: () => this.#assembler.rows, cut: (delayMs) => this.#cutAtTransactionEnd(delayMs) });
    this.#pace = new LanePace((fence) => options.log.bytesAfter(fence));
    this.#writer = new SegmentWriter(options.log, {
      onAppended: (segments) => this.#appended(segments),
      onLost: () => this.#outcome.resolve('superseded'),
      onError: (error) => this.#outcome.reject(error),
    });
  }

  /** Takes the shard and the slot. False: another was first. */
  async begin({ options, catalog, check, timeline }: Omit<Step, 'source'>): Promise<boolean> {
    const { pipeline, log } = options;
    if (options.startsOver) await check.startOver();
    // before the first append: a spool that has filled its disk must not wait for a capture that can append
    await this.#room.make(smallestOf(options.fences()));
    const claim = this.#claimed(catalog, timeline);
    const tail = await appendClaim(log, { ...claim, start: options.start, after: options.after });
    if (!tail || !(await this.#kept.take(claim, check.kept, tail.to, options.after !== undefined))) return false;
    this.#spooled.position = tail.to;
    const lastEvents = await log.lastEvents();
    const dimensions = await options.dimensionsAt(tail.to);

    this.#assembler = new SegmentAssembler({
      pipeline,
      shard: log.shard,
      captureId: this.#captureId,
      epoch: options.shard.epoch,
      from: tail.to,
      seq: tail.seq + 1,
      beforeColumns: beforeColumns(pipeline),
      dimensions,
      tailEventLsn: lastEvents?.to === tail.to ? lastEvents.lastEventLsn : undefined,
      shape: options.columns.shape.number,
    });
    this.#columns = new ColumnWatch(pipeline, options.columns, catalog.columns);
    this.#decoder = new PgoutputDecoder(this.#assembler, {
      pipeline,
      typeOf: (oid) => this.#columns.typeOf(oid) ?? 'other',
      formerNames: (table, column) => options.columns.shape.columns[table]?.[column]?.was ?? [],
      knownNames: (table) => this.#columns.namesOf(table),
      emit: (segment) => this.#emit(segment, this.#linger.delayMs(this.#assembler.commitTime)),
    });
    this.#began = { catalog, timeline };
    const streamEnd = await readStreamEnd(log, tail.to);
    const confirmed = await check.takeOver((await this.#kept.look(tail.to)) ?? streamEnd);
    this.#confirmation = new Confirmation({ pipeline, fences: () => this.#options.fences(), record: (each) => this.#options.recordConfirmed(each), timeline, confirmed, keepBytes: catalog.keepBytes });
    this.#confirmation.spooled(streamEnd.position, streamEnd.endLsn);
    return true;
  }

  /** From where the spool ends on. */
  async #open({ source, catalog: { binary }, check }: Step): Promise<SourceStream> {
    const { end: kept } = this.#kept;
    if (kept) {
      await check.assertStillThere(kept);
      this.#confirmation.spooled(kept.position, kept.endLsn);
    }
    return (this.#stream = await source.stream(this.#kept.slotFrom(parsePosition(this.#spooled.position).lsn), binary, {
      message: (bytes, start, end, walHigh, walLow) => {
        if (!this.#kept.isPassed(bytes, start)) this.#message(bytes, start, end, walHigh, walLow);
      },
      server: (endHigh, endLow, timeHigh, timeLow) => {
        this.#confirmation.serverEnd(endHigh, endLow);
        this.#linger.serverTime(timeHigh, timeLow);
      },
    }));
  }

  /** Goes on where it stands, if this step is the one that would begin there: of its spool, its load and its source, by the stream that it has. */
  async goOn({ options: { pipeline, log, shard, start, after, startsOver, reached, fences }, source, catalog, timeline }: Step): Promise<boolean> {
    const [own, began, stream] = [this.#options, this.#began, this.#stream];
    if (!began || stream?.pid === undefined || this.#writer.stopped) return false;
    const sameSpool = log === own.log && !startsOver && after?.captureId === this.#captureId && [after.to, start, reached].every((position) => position === this.#spooled.position);
    const sameSource = pipeline === own.pipeline && shard.epoch === own.shard.epoch && timeline === began.timeline && catalog.binary === began.catalog.binary && catalog.keepBytes === began.catalog.keepBytes;
    // while its claim is there, the spool says which timeline it is of, whatever becomes of the state database (E1)
    if (!sameSpool || !sameSource || (await log.lastClaim())?.captureId !== this.#captureId) return false;
    // by a connection of its own: where the source's address leads to now
    if ((await source.slot())?.activePid !== stream.pid) return false;
    // it may count for a second, and nothing is read yet
    void this.#room.make(smallestOf(fences())).catch((error: unknown) => this.#outcome.reject(error));
    this.#began = { catalog, timeline };
    stream.release();
    return true;
  }

  async step(step: Step): Promise<CaptureResult> {
    const { options, source, check } = step;
    const { clock, signal } = options;
    this.#options = options;
    this.#spooled.begin();
    const stop = () => this.#outcome.resolve('stopped');
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    let timers: (() => void)[] = [];
    try {
      if (!this.#stream && this.#kept.end) await Promise.race([this.#tellingOf(step, () => this.#readKept()), source.gone]);
      const stream = this.#stream ?? (this.#isOver ? undefined : await this.#open(step));
      if (stream) {
        this.#pressure = new BackPressure(clock, stream, () => this.#isTooMuch());
        this.#pressure.balance();
        timers = this.#startTimers(source, check);
      }
      const reason = await Promise.race([this.#outcome.promise, source.gone, ...(stream ? [stream.ended.then((): never => { throw new Error('the replication stream ended'); })] : [])]);
      if (reason === 'stopped') {
        // what happens while it stands, the next step hears of
        this.#outcome = newOutcome();
        // E7: what it waits for may be away as well
        await Promise.race([this.#finish(stream), source.gone]);
      }
      return reason === 'changed' ? await this.#ofChange(source) : this.result(reason);
    } finally {
      for (const end of timers) end();
      this.#linger.end();
      this.#pressure?.end();
      signal.removeEventListener('abort', stop);
    }
  }

  /** May be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#linger.end();
    this.#stream?.close();
    await this.#writer.drained();
  }

  /** E3: whoever appends the claim owns the shard; what it reads with is on record. */
  #claimed({ systemIdentifier, binary, walEnd }: SourceCatalog, timeline: number): UndecidedClaim {
    const { shard: { epoch }, pipeline } = this.#options;
    // each segment has WAL of its own, so the WAL's end is above the numbers of all segments before
    return { captureId: this.#captureId, claim: { definitionHash: definitionHash(pipeline), systemIdentifier, timeline, epoch, slot: sourceNames(pipeline.name).slot, binary }, firstSeq: Number(walEnd) };
  }

  /** While nothing comes from the source, nor perhaps into the spool: who lets lanes go for whom that is full has to hear of it (E20). */
  async #tellingOf({ source, catalog }: Step, work: () => Promise<void>): Promise<void> {
    this.#confirmation.walEnd(catalog.walEnd);
    const tell = async () => {
      this.#report();
      this.#confirmation.walEnd(await source.walEnd());
    };
    // a source that does not answer is gone, or is met again
    const end = this.#options.clock.every(1_000, () => void tell().catch(() => {}));
    await work().finally(end);
  }

  #readKept(): Promise<void> {
    const { clock, signal, fences } = this.#options;
    return this.#kept.read({
      position: () => this.#spooled.position,
      isOver: () => this.#isOver,
      room: async () => {
        for (; this.#isTooMuch() && !this.#isOver; await pause(clock, roomMs, signal)) await this.#room.make(smallestOf(fences()));
      },
      message: (bytes, start, end, walHigh, walLow) => this.#message(bytes, start, end, walHigh, walLow),
      spool: () => this.#spool(),
      signal,
    });
  }

  #message(bytes: Buffer, start: number, end: number, walHigh: number, walLow: number): void {
    if (this.#changed) return;
    try {
      this.#decoder.message(bytes, start, end, walHigh, walLow);
    } catch (error) {
      if (!(error instanceof SchemaChanged)) throw error;
      this.#standBefore(error);
      return;
    }
    killPoint('capture/received');
    if (!this.#linger.running && this.#assembler.ready) this.#linger.begin(this.#assembler.commitTime);
  }

  /** Spools what came before a change, which is the end of this capture. */
  #standBefore(changed: FoundColumns | SchemaChanged): void {
    this.#changed = changed;
    this.#stream?.hold();
    const segment = this.#assembler.makeRoom(true);
    if (segment) this.#emit(segment, undefined);
    this.#outcome.resolve('changed');
  }

  async #ofChange(source: Source): Promise<CaptureResult> {
    await this.#writer.drained();
    if (this.#writer.stopped) return this.result('superseded');
    const changed = this.#changed!;
    const { columns, changes } = changed instanceof SchemaChanged ? await this.#columns.found(source, changed) : changed;
    return { ...this.result('changed'), change: await this.#options.columns.record({ columns, changes, position: this.#spooled.position }) };
  }

  /** False: a transaction is coming in. */
  #cutAtTransactionEnd(delayMs: number | undefined): boolean {
    try {
      if (!this.#assembler.ready) return false;
      this.#emit(this.#assembler.cut(), delayMs);
    } catch (error) {
      // thrown out of a timer it would end the whole worker
      this.#outcome.reject(error);
    }
    return true;
  }

  /** `delayMs`: see SegmentHeader. */
  #emit(assembled: AssembledSegment, delayMs: number | undefined): void {
    const content = delayMs === undefined ? assembled : { ...assembled, header: { ...assembled.header, delayMs } };
    const segment = openSegment(encodeSegment(content, (size) => this.#options.log.allocate(size)), { verify: false });
    this.#assembler.release();
    this.#decoder.cutDone();
    this.#linger.end();
    this.#spooled.cut(segment.header.seq, assembled.endLsn);
    this.#writer.push(segment);
    this.#pressure?.balance();
  }

  #appended(segments: readonly Segment[]): void {
    for (const segment of segments) {
      this.#room.appended(segment.bytes.length);
      const endLsn = this.#spooled.appended(segment, this.#options.clock.steady());
      if (endLsn !== undefined) this.#confirmation.spooled(segment.header.to, endLsn);
    }
    const smallest = smallestOf(this.#options.fences());
    if (smallest !== undefined) this.#options.log.passed(smallest);
    this.#pressure?.balance();
    this.#report();
  }

  #isTooMuch(): boolean {
    const { fences, clock, pipeline } = this.#options;
    // asked each time: it must see that a lane has everything
    const isAhead = this.#pace.isAhead(greatestOf(fences()), clock.steady());
    return isAhead || this.#room.isFull || this.#writer.queuedBytes > Math.max(leastQueuedBytes, 2 * pipeline.settings.segmentBytes);
  }

  /** Returns what ends them. */
  #startTimers(source: Source, check: StreamCheck): (() => void)[] {
    const { pipeline, clock, fences } = this.#options;
    // of this step: what it asks for may fail when its connection is closed, and is no trouble of the next one
    const outcome = this.#outcome;
    const fail = (error: unknown) => outcome.reject(error);
    let canaries = 0;
    const canary = () => {
      const isQuiet = clock.steady() - this.#spooled.lastEventMs > quietAfterMs(pipeline.settings);
      if (isQuiet && canaries++ % quietCanaries > 0) return;
      // before the canary, so that the slot can follow as soon as that is confirmed; nothing depends on it
      void source.letSlotFollow().catch(() => {}).then(() => source.emitCanary()).catch(fail);
    };
    canary();
    const acknowledge = async () => {
      this.#report();
      await check.assertNoneAhead(this.#confirmation.knownWalEnd);
      await this.#confirmation.confirm(this.#stream!);
      await this.#columns.settle(parsePosition(this.#spooled.position).lsn);
      const changed = this.#assembler.inTransaction ? undefined : this.#columns.passed(this.#confirmation.streamAt);
      if (changed && !this.#changed) this.#standBefore(changed);
    };
    const tidy = async () => {
      await source.assertPublication();
      await this.#columns.look(source);
      await this.#room.make(smallestOf(fences()));
      this.#confirmation.walEnd(await source.walEnd());
      this.#pressure?.balance();
    };
    return [clock.every(pipeline.settings.canaryMs, canary), clock.every(1_000, () => void acknowledge().catch(fail)), clock.every(10_000, () => void tidy().catch(fail))];
  }

  async #finish(stream: SourceStream | undefined): Promise<void> {
    this.#pressure?.end();
    await this.#spool();
    if (stream) await this.#confirmation.confirm(stream);
  }

  /** All that came, as far as its transactions are whole. */
  async #spool(): Promise<void> {
    if (this.#assembler.ready) this.#emit(this.#assembler.cut(), undefined);
    await this.#writer.drained();
  }

  /** Nothing more is taken. */
  get #isOver(): boolean {
    return this.#options.signal.aborted || this.#changed !== undefined || this.#writer.stopped || this.#isClosed;
  }

  #report(): void {
    this.#options.onProgress({ ...this.#spooled.progress, slotLagBytes: this.#confirmation.slotLagBytes, spoolBytes: this.#room.bytes, spoolBudgetBytes: this.#room.budgetBytes });
  }

  result(reason: CaptureResult['reason']): CaptureResult {
    return this.#spooled.result(reason);
  }
}

/** Whoever hears of it may come later. */
function newOutcome(): PromiseWithResolvers<CaptureResult['reason']> {
  const outcome = Promise.withResolvers<CaptureResult['reason']>();
  outcome.promise.catch(() => {});
  return outcome;
}

/** One segment comes in while another is appended. */
const leastQueuedBytes = 16 << 20;
/** How often room is looked for while what was kept waits for it. */
const roomMs = 200;
