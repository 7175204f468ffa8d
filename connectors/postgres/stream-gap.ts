import type { Lsn, Position } from '../../core/position.ts';
import { lsnText, parseLsn, parsePosition } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { SpoolTooShort, type SegmentLog } from '../spool/segment-log.ts';

/** Where a shard's chain ends. */
export type StreamEnd = {
  readonly position: Position;
  /** Up to here the WAL has nothing that is not in the chain. */
  readonly endLsn: Lsn;
  /** When its last transaction was committed, milliseconds since 1970; undefined: the spool does not have it any more. */
  readonly committedMs: number | undefined;
};

type Log = Pick<SegmentLog, 'read' | 'release' | 'lastEvents'>;

export async function readStreamEnd(log: Log, tail: Position): Promise<StreamEnd> {
  const last = await log.lastEvents();
  if (last?.to !== tail) return { position: tail, endLsn: parsePosition(tail).lsn, committedMs: undefined };
  const segments = await there(log, last.from);
  const transactions = segments.find(({ header }) => header.seq === last.seq)?.transactions;
  const committedUs = transactions?.commitTimes[transactions.count - 1];
  log.release(segments);
  return { position: tail, endLsn: last.endLsn === undefined ? parsePosition(tail).lsn : parseLsn(last.endLsn), committedMs: committedUs === undefined ? undefined : committedUs / 1000 };
}

/** What follows this place, without waiting for it. */
async function there(log: Log, after: Position): Promise<readonly Segment[]> {
  try {
    return await log.read(after, { maxRows: 1 }, AbortSignal.abort());
  } catch (error) {
    // it was trimmed since, by a capture that is at work
    if (error instanceof SpoolTooShort) return [];
    throw error;
  }
}

/**
 * Which part of the stream is missing, for the one who must heal it: behind which position and commit, and up to where as
 * far as is known: where the stream can be had again, or the source's present.
 */
export function describeGap({ position, committedMs }: StreamEnd, upTo: { readonly lsn: Lsn; readonly isPresent: boolean }): string {
  const when = committedMs === undefined ? 'its commit time is not known any more: the spool does not have it' : `committed ${new Date(committedMs).toISOString()}`;
  const until = upTo.isPresent ? `up to the source's present WAL position ${lsnText(upTo.lsn)}, and all that it writes from now on` : `up to WAL position ${lsnText(upTo.lsn)}`;
  return `The gap begins behind position ${position} (WAL position ${lsnText(parsePosition(position).lsn)}, ${when}) and goes ${until}.`;
}
