import type { Lsn, Position } from '../../core/position.ts';
import { parsePosition } from '../../core/position.ts';
import type { SegmentHeader } from '../../core/segment.ts';
import { SpoolTooShort } from '../spool/segment-log.ts';
import { TransientError } from '../transient-error.ts';
import { Message } from './pgoutput/decoder.ts';
import { beginLsn, eachMessage } from './pgoutput/undecided-writer.ts';
import type { ReplicationTarget } from './replication-stream.ts';
import type { StreamEnd } from './stream-gap.ts';
import { claimUndecided, trimUndecided, undecidedEnd, undecidedStart, type UndecidedClaim, type UndecidedLog } from './undecided-log.ts';

/** Who reads it, as if it came now. */
export type KeptReader = {
  /** Where the spool ends. */
  readonly position: () => Position;
  /** Nothing more is taken. */
  readonly isOver: () => boolean;
  /** Returns when the spool has room and lanes follow, or it is over. */
  readonly room: () => Promise<void>;
  readonly message: ReplicationTarget['message'];
  /** Returns when the spool has all of what was read. */
  readonly spool: () => Promise<void>;
  readonly signal: AbortSignal;
};

/** What was kept of the stream while nobody had decided how to read it: a capture reads it first, and then the slot, from which some of it may come again. */
export class KeptStream {
  readonly #log: UndecidedLog | undefined;
  #end: StreamEnd | undefined;
  /** What committed up to here was read from there, and comes again. */
  #passes: Lsn | undefined;

  constructor(log: UndecidedLog | undefined) {
    this.#log = log;
  }

  /** Up to where it goes on behind the spool, as `look` has found; undefined: it has nothing that the spool has not. */
  get end(): StreamEnd | undefined {
    return this.#end;
  }

  /** From here on nobody adds to it. `kept`: where it ended for who looked before; `goesOn`: what it goes on behind is there. False: another was first. */
  async take(claim: UndecidedClaim, kept: SegmentHeader | undefined, tail: Position, goesOn: boolean): Promise<boolean> {
    const log = this.#log;
    if (!kept) return (await log?.tail()) === undefined;
    if (goesOn) return (await claimUndecided(log!, claim, kept, tail)) !== undefined;
    // what it goes on behind was lost: the source has all of it, or a gap is found
    await log!.startOver();
    return true;
  }

  /** Behind a spool that ends at `tail`. */
  async look(tail: Position): Promise<StreamEnd | undefined> {
    return (this.#end = this.#log && (await undecidedEnd(this.#log, tail)));
  }

  /** As far as the spool has room for it and lanes follow. */
  async read(reader: KeptReader): Promise<void> {
    try {
      await this.#read(reader);
    } catch (error) {
      // what it begins with is trimmed by one that stood still since it had spooled that
      throw error instanceof SpoolTooShort ? looksAgain(error) : error;
    }
  }

  async #read({ position, isOver, room, message, spool, signal }: KeptReader): Promise<void> {
    const log = this.#log!;
    const end = (await log.tail())?.to;
    if (end === undefined) throw looksAgain();
    const upTo = parsePosition(this.#end!.position).lsn;
    // a transaction that is not whole comes from the source
    let isWhole = true;
    for (let at = await undecidedStart(log, position()); at < end && !isOver(); ) {
      await room();
      const segments = await log.read(at, { maxRows: 1 }, signal);
      for (const segment of segments) {
        eachMessage(segment, (bytes, from, to, walHigh, walLow) => {
          isWhole = (beginLsn(bytes, from) ?? upTo) <= upTo && isWhole;
          if (isWhole) message(bytes, from, to, walHigh, walLow);
        });
        at = segment.header.to;
      }
      await spool();
      if (segments.length > 0 && !isOver()) await trimUndecided(log, segments.at(-1)!.header, position());
      log.release(segments);
    }
  }

  /** From where the slot is to send what follows a spool that ends at `spooled`. */
  slotFrom(spooled: Lsn): Lsn {
    this.#passes = this.#end && parsePosition(this.#end.position).lsn;
    return this.#passes !== undefined && this.#passes > spooled ? this.#passes : spooled;
  }

  /** Of transactions that were read already, as they were kept, only what their tables are like is of use. */
  isPassed(bytes: Buffer, start: number): boolean {
    if (this.#passes === undefined) return false;
    const lsn = beginLsn(bytes, start);
    if (lsn !== undefined && lsn > this.#passes) this.#passes = undefined;
    return this.#passes !== undefined && bytes[start] !== Message.relation;
  }
}

/** The next attempt knows what is left of it, and whether anything is lost. */
function looksAgain(cause?: unknown): TransientError {
  return new TransientError('what was kept of the stream is not there any more as it was: the next attempt looks at it again', { cause });
}
