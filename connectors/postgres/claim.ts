import { randomUUID } from 'node:crypto';
import type { Position } from '../../core/position.ts';
import { encodeSegment, openSegment } from '../../core/segment-file.ts';
import type { Claim, SegmentHeader } from '../../core/segment.ts';
import type { Appender, SegmentLog } from '../spool/segment-log.ts';
import { claimedTimeline } from './same-stream.ts';
import type { ShardState } from './shard-state.ts';

export type ClaimOptions = {
  readonly captureId: string;
  readonly claim: Claim;
  /** Where the stream goes on: at the end of `after`, or at the end of a later load. */
  readonly start: Position;
  /** The segment that the claim follows; undefined: the chain begins. */
  readonly after: SegmentHeader | undefined;
  /** The number of a chain's first segment. */
  readonly firstSeq: number;
};

/** The first segment of a capture, without events (E3). Returns its header; undefined if another was first. */
export async function appendClaim(log: SegmentLog & Appender, { captureId, claim, start, after, firstSeq }: ClaimOptions): Promise<SegmentHeader | undefined> {
  const from = after?.to ?? start;
  const seq = after ? after.seq + 1 : await log.next(firstSeq);
  // somebody has begun the chain since it was looked at: what is behind that is not this one's to claim
  if (!after && (await log.tail())) return undefined;
  const header: SegmentHeader = { shard: log.shard, seq, kind: 'claim', captureId, from, to: start > from ? start : from, claim };
  const bytes = encodeSegment({
    header,
    transactions: { count: 0, lsns: new Uint32Array(0), commitTimes: new Float64Array(0), lastOrdinals: new Uint32Array(0), complete: new Uint8Array(0), clocks: new Float64Array(0) },
    truncates: [],
    batches: [],
  });
  return (await log.append([openSegment(bytes, { verify: false })])) === 'appended' ? header : undefined;
}

/**
 * Ends every capture that there is, also one that nobody hears of, by a claim that none goes on from (E3): what it appends next is lost. Returns where the
 * chain ends from then on, undefined if there is none; 'lost' if one of them was first.
 */
export async function endCaptures(log: SegmentLog & Appender, { epoch, slot, systemIdentifier, confirmed }: ShardState, definitionHash: string): Promise<Position | 'lost' | undefined> {
  const after = await log.tail();
  const last = (await log.lastClaim())?.claim;
  const timeline = claimedTimeline(last, epoch, confirmed);
  if (!after || timeline === undefined) return after?.to;
  const claim: Claim = { definitionHash, systemIdentifier, timeline, epoch, slot, binary: last?.binary ?? true };
  const header = await appendClaim(log, { captureId: randomUUID(), claim, start: after.to, after, firstSeq: after.seq + 1 });
  return header?.to ?? 'lost';
}
