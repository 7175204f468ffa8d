import type { Lsn } from '../../core/position.ts';
import { parsePosition } from '../../core/position.ts';
import type { SegmentHeader } from '../../core/segment.ts';
import { TransientError } from '../transient-error.ts';
import type { CaptureOptions } from './capture.ts';
import { greatestOf } from './fences.ts';
import { assertNoGap, assertNoPhantoms, assertNotSetBack, assertSameSource, assertSlot, claimedTimeline } from './same-stream.ts';
import type { Slot, Source } from './source.ts';
import type { SourceCatalog } from './source-catalog.ts';
import type { StreamEnd } from './stream-gap.ts';
import { assertUndecided } from './undecided-log.ts';

type Checked = Pick<CaptureOptions, 'pipeline' | 'log' | 'shard' | 'start' | 'startsOver' | 'reached' | 'readConfirmed' | 'recordConfirmed' | 'fences' | 'undecided'>;

/** Makes sure, for one capture, that it reads the stream that is on record: when it begins, and as long as it reads. */
export class StreamCheck {
  readonly #options: Checked;
  readonly #source: Source;
  readonly #catalog: SourceCatalog;
  /** Of the slot, when it was taken over. */
  #confirmed: Lsn = 0n;
  /** The newest segment of what is kept undecided that was looked at. */
  kept: SegmentHeader | undefined;

  constructor(options: Checked, source: Source, catalog: SourceCatalog) {
    this.#options = options;
    this.#source = source;
    this.#catalog = catalog;
  }

  /** Returns the source's timeline, which is on record then. */
  async begin(): Promise<number> {
    const { pipeline: { name }, log, undecided, shard, reached, readConfirmed, recordConfirmed } = this.#options;
    assertSameSource(name, shard, this.#catalog);
    await this.#source.assertPublication();
    const recorded = await readConfirmed();
    const claimed = claimedTimeline((await log.lastClaim())?.claim, shard.epoch, recorded);
    const present = await this.#source.timeline(claimed);
    assertNoPhantoms(name, claimed, present, reached);
    assertNotSetBack(name, reached, this.#catalog.walEnd);
    this.kept = undecided && (await assertUndecided(name, undecided, { epoch: shard.epoch, recorded, present, source: this.#source }));
    // before anything is taken from it: the spool, whose claims say it too, may be lost
    if (recorded && recorded.timeline !== present.timeline) await recordConfirmed({ ...recorded, timeline: present.timeline });
    return present.timeline;
  }

  /** Gives up what the log has, if the source has all that follows `start`. */
  async startOver(): Promise<void> {
    const { log, start } = this.#options;
    const end = { position: start, endLsn: parsePosition(start).lsn, committedMs: undefined };
    // who still reads could confirm what only the spool has, so the slot is looked at again when nobody does any more
    await this.takeOver(end);
    await this.#slotWith(end);
    await log.startOver();
  }

  /** Returns what was confirmed to the slot, which from now on is ours (E6). */
  async takeOver(end: StreamEnd): Promise<Lsn> {
    const slot = await this.#slotWith(end);
    if (slot.activePid !== undefined) await this.#source.disconnect(slot.activePid);
    this.#confirmed = slot.confirmed;
    return slot.confirmed;
  }

  /** Before a stream is opened long after that: a slot begins where it was confirmed, whatever it is asked for, and does not say so (E6). */
  async assertStillThere({ endLsn }: StreamEnd): Promise<void> {
    const slot = await this.#source.slot();
    if (slot && slot.confirmed > this.#confirmed && slot.confirmed > endLsn) throw new TransientError(`another capture of pipeline ${this.#options.pipeline.name} has let its source forget more while this one read what was kept: the next attempt reads that as well`);
  }

  /**
   * E1: a sink that was silent at the start may be ahead of a source that was set back, and would take new changes for those
   * that it has. `knownWalEnd`: what the stream has told of the source's WAL; only beyond it is the source asked.
   */
  async assertNoneAhead(knownWalEnd: Lsn): Promise<void> {
    const { pipeline, fences, shard: { epoch } } = this.#options;
    const greatest = greatestOf(fences());
    if (greatest === undefined) return;
    const { epoch: load, lsn } = parsePosition(greatest);
    // a later load has begun, or the state database was restored to before it: who begins anew finds out
    if (load > epoch) throw new TransientError(`a lane of pipeline ${pipeline.name} is at position ${greatest}, of a later load than the one that is read`);
    if (load < epoch || lsn <= knownWalEnd) return;
    assertNotSetBack(pipeline.name, greatest, await this.#source.walEnd());
  }

  /** Throws if it has not all that follows `end`. */
  async #slotWith(end: StreamEnd): Promise<Slot> {
    const { name } = this.#options.pipeline;
    const slot = await this.#source.slot();
    assertSlot(name, slot, end, this.#catalog.walEnd);
    // read after the slot: a capture that still runs elsewhere writes its record before it moves the slot
    const recorded = await this.#options.readConfirmed();
    // it is to start over because the source had still all of it
    if (this.#options.startsOver && recorded && recorded.to > end.position) throw new TransientError(`another capture of pipeline ${name} has let its source forget more while this one began`);
    assertNoGap(name, recorded, slot.confirmed, end);
    return slot;
  }
}
