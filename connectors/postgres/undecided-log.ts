import type { Position } from '../../core/position.ts';
import { parsePosition } from '../../core/position.ts';
import type { Claim, SegmentHeader } from '../../core/segment.ts';
import { SpoolTooShort, type Appender, type SegmentLog } from '../spool/segment-log.ts';
import { appendClaim } from './claim.ts';
import { beforeTransaction, wholeTo } from './pgoutput/undecided-writer.ts';
import { assertNoPhantoms, assertNotSetBack, claimedTimeline } from './same-stream.ts';
import type { Confirmed } from './shard-state.ts';
import type { Source, Timeline } from './source.ts';
import { readStreamEnd, type StreamEnd } from './stream-gap.ts';

/** What is kept of the stream as it came, behind a change that somebody must decide: a chain of its own, beside the spool's. */
export type UndecidedLog = SegmentLog & Appender;

export type UndecidedClaim = { readonly captureId: string; readonly claim: Claim; readonly firstSeq: number };

/**
 * E1: what is kept was taken from the source as well, on a timeline that its own claims tell, for the spool's may be older.
 * Returns where it ends: who claims it goes on behind that, or another has added what was not looked at. Throws ConfigurationError.
 */
export async function assertUndecided(pipeline: string, log: UndecidedLog, { epoch, recorded, present, source }: { readonly epoch: number; readonly recorded: Confirmed | undefined; readonly present: Timeline; readonly source: Pick<Source, 'timeline' | 'walEnd'> }): Promise<SegmentHeader | undefined> {
  const kept = await log.tail();
  if (!kept || parsePosition(kept.to).epoch !== epoch) return kept;
  const claimed = claimedTimeline((await log.lastClaim())?.claim, epoch, recorded);
  if (claimed !== present.timeline) assertNoPhantoms(pipeline, claimed, await source.timeline(claimed), kept.to);
  // asked now: another capture may have kept more since this one looked at its source
  assertNotSetBack(pipeline, kept.to, await source.walEnd());
  return kept;
}

/** From here on nobody else adds to it (E3), which ends with `after`, and what a spool has that ends at `tail` is forgotten. Undefined: another was first. */
export async function claimUndecided(log: UndecidedLog, claim: UndecidedClaim, after: SegmentHeader | undefined, tail: Position): Promise<SegmentHeader | undefined> {
  const start = beforeTransaction(tail);
  const header = await appendClaim(log, { ...claim, start, after });
  if (header) await log.trim(start, 0);
  return header;
}

/**
 * Up to where it goes on behind a spool that ends at `tail`; undefined: it has nothing that the spool has not. All of what
 * is behind `tail` must be in it, or it is as if it were not there.
 */
export async function undecidedEnd(log: UndecidedLog, tail: Position): Promise<StreamEnd | undefined> {
  const [newest, beginning] = [await log.tail(), await beginningOf(log)];
  if (!newest || !beginning) return undefined;
  const end = wholeTo(newest.to);
  const at = parsePosition(tail);
  if (parsePosition(end).epoch !== at.epoch || parsePosition(end).lsn < at.lsn || parsePosition(beginning).lsn > at.lsn) return undefined;
  return end === newest.to ? readStreamEnd(log, end) : { position: end, endLsn: parsePosition(end).lsn, committedMs: undefined };
}

/** Where a capture that is at work has come to: with what is kept, if that goes on behind the spool. Undefined: the spool is empty. */
export async function streamEndOf(spool: Pick<SegmentLog, 'tail' | 'read' | 'release' | 'lastEvents'>, undecided: UndecidedLog | undefined): Promise<StreamEnd | undefined> {
  for (;;) {
    const tail = (await spool.tail())?.to;
    if (tail === undefined) return undefined;
    const kept = undecided && (await undecidedEnd(undecided, tail));
    if (kept) return kept;
    // what was read into the spool between the two looks was forgotten here, and none of them has seen it
    if (!undecided || (await spool.tail())?.to === tail) return readStreamEnd(spool, tail);
  }
}

/**
 * From where on it has all: a claim goes on behind what was there before, also where what is between is in the spool alone.
 * It looks: another process may have trimmed what this one still knows.
 */
async function beginningOf(log: UndecidedLog): Promise<Position | undefined> {
  const oldest = await log.oldest();
  if (!oldest) return undefined;
  try {
    // it is there, or it never will be: nothing is waited for
    const segments = await log.read(oldest.from, { maxRows: 1 }, AbortSignal.abort());
    const first = segments[0]?.header;
    log.release(segments);
    if (first) return first.kind === 'claim' ? first.to : first.from;
    return oldest.from === oldest.to ? oldest.to : undefined;
  } catch (error) {
    if (error instanceof SpoolTooShort) return beginningOf(log);
    throw error;
  }
}

/** Where to read from so that all follows that a spool has not which ends at `tail`. */
export async function undecidedStart(log: UndecidedLog, tail: Position): Promise<Position> {
  const before = beforeTransaction(tail);
  const oldest = (await log.oldest())?.from ?? before;
  return oldest > before ? oldest : before;
}

/** Forgets what the spool has, if it ends at `tail`: a transaction goes as a whole. */
export function trimUndecided(log: UndecidedLog, { to: kept }: Pick<SegmentHeader, 'to'>, tail: Position): Promise<void> {
  return parsePosition(tail).lsn >= parsePosition(kept).lsn ? log.trim(wholeTo(kept), 0) : Promise.resolve();
}
