import type { Position } from '../../core/position.ts';
import { parsePosition } from '../../core/position.ts';
import type { Claim, SegmentHeader } from '../../core/segment.ts';
import type { Appender, SegmentLog } from '../spool/segment-log.ts';
import { appendClaim } from './claim.ts';
import { beforeTransaction, wholeTo } from './pgoutput/undecided-writer.ts';
import { readStreamEnd, type StreamEnd } from './stream-gap.ts';

/** What is kept of the stream as it came, behind a change that somebody must decide: a chain of its own, beside the spool's. */
export type UndecidedLog = SegmentLog & Appender;

export type UndecidedClaim = { readonly captureId: string; readonly claim: Claim; readonly firstSeq: number };

/** From here on nobody else adds to it (E3), and what a spool has that ends at `tail` is forgotten. Undefined: another was first. */
export async function claimUndecided(log: UndecidedLog, claim: UndecidedClaim, tail: Position): Promise<SegmentHeader | undefined> {
  const start = beforeTransaction(tail);
  const header = await appendClaim(log, { ...claim, start, after: await log.tail() });
  if (header) await log.trim(start, 0);
  return header;
}

/**
 * Up to where it goes on behind a spool that ends at `tail`; undefined: it has nothing that the spool has not. All of what
 * is behind `tail` must be in it, or it is as if it were not there.
 */
export async function undecidedEnd(log: UndecidedLog, tail: Position): Promise<StreamEnd | undefined> {
  const [newest, oldest] = [await log.tail(), await log.oldest()];
  if (!newest || !oldest) return undefined;
  const end = wholeTo(newest.to);
  const at = parsePosition(tail);
  if (parsePosition(end).epoch !== at.epoch || parsePosition(end).lsn < at.lsn || parsePosition(oldest.from).lsn > at.lsn) return undefined;
  return end === newest.to ? readStreamEnd(log, end) : { position: end, endLsn: parsePosition(end).lsn, committedMs: undefined };
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
