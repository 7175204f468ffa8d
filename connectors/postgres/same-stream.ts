import { loadAnew } from '../../core/load-anew.ts';
import type { Lsn, Position } from '../../core/position.ts';
import type { Claim } from '../../core/segment.ts';
import { lsnText, parsePosition } from '../../core/position.ts';
import { ConfigurationError } from '../sink.ts';
import { switchPoint } from '../../core/timeline-history.ts';
import type { Confirmed, ShardState } from './shard-state.ts';
import type { Slot, Timeline } from './source.ts';
import type { SourceCatalog } from './source-catalog.ts';
import { sourceNames } from './source-catalog.ts';
import { describeGap, type StreamEnd } from './stream-gap.ts';

/*
 * Whether the stream that a capture is about to read goes on where the last one ended. A slot does not say when it does
 * not, so everything is held against what was put on record. Each throws ConfigurationError.
 */

/** E1: positions of another server say nothing about its stream. */
export function assertSameSource(pipeline: string, shard: Pick<ShardState, 'systemIdentifier'>, { systemIdentifier }: Pick<SourceCatalog, 'systemIdentifier'>): void {
  if (systemIdentifier !== shard.systemIdentifier) {
    throw new ConfigurationError(`The source of pipeline ${pipeline} is another server than the one it was loaded from (system identifier ${systemIdentifier}, not ${shard.systemIdentifier}).`, { mend: { lead: '', type: `Set SLUICE_SOURCE_URL to that one. ${loadAnew(pipeline)}` } });
  }
}

/** E1: nor do those of a past that it no longer has. `reached`: the greatest that the spool or a sink has. */
export function assertNotSetBack(pipeline: string, reached: Position, walEnd: Lsn): void {
  const { lsn } = parsePosition(reached);
  if (lsn > walEnd) {
    throw new ConfigurationError(`The source of pipeline ${pipeline} was set back: its WAL ends at ${lsnText(walEnd)}, and changes up to ${lsnText(lsn)} were already taken from it. ${loadAnew(pipeline)}`);
  }
}

/**
 * E1: after a promotion, what was taken from the old timeline beyond the place where the new one begins never happened
 * there. `claimed`: the timeline that the chain was read from, undefined if no claim of it is left.
 */
export function assertNoPhantoms(pipeline: string, claimed: number | undefined, { timeline, history }: Timeline, tail: Position): void {
  if (claimed === undefined || timeline === claimed) return;
  const left = switchPoint(history, claimed);
  const { lsn } = parsePosition(tail);
  if (left === undefined) {
    throw new ConfigurationError(`The source of pipeline ${pipeline} is on timeline ${timeline}, which does not come from timeline ${claimed} that it was read on. Was it restored? ${loadAnew(pipeline)}`);
  }
  if (lsn >= left) {
    throw new ConfigurationError(`The source of pipeline ${pipeline} was promoted: its timeline ${timeline} left timeline ${claimed} at ${lsnText(left)}, and changes up to ${lsnText(lsn)} had been taken from the old one. Those beyond never happened here. ${loadAnew(pipeline)}`);
  }
}

/** That the chain was read from. What an earlier load was read on does not count: this one began on the timeline that is on record with it. */
export function claimedTimeline(claim: Claim | undefined, epoch: number, recorded: Confirmed | undefined): number | undefined {
  return claim?.epoch === epoch ? claim.timeline : recorded?.timeline;
}

/** There is a slot, and it still has what follows its confirmed position. `walEnd`: of the source, now. */
export function assertSlot(pipeline: string, slot: Slot | undefined, end: StreamEnd, walEnd: Lsn): asserts slot is Slot {
  if (!slot) throw slotLost(pipeline, 'is gone', end, walEnd);
  if (slot.status === 'lost') throw slotLost(pipeline, `was invalidated, because it held back more WAL than max_slot_wal_keep_size${slot.unreadSince === undefined ? '' : ` (nobody has read it since ${slot.unreadSince})`}`, end, walEnd);
}

/**
 * E6: a slot begins where it was confirmed, whatever it is asked for, and does not say so. `end`: of the chain. A slot that
 * stands there or below has all that follows, whoever moved it (a restored state database knows less of it).
 */
export function assertNoGap(pipeline: string, recorded: Confirmed | undefined, slotConfirmed: Lsn, end: StreamEnd): void {
  if (!recorded) return;
  if (slotConfirmed > recorded.lsn && slotConfirmed > end.endLsn) {
    throw new ConfigurationError(`The replication slot of pipeline ${pipeline} stands at ${lsnText(slotConfirmed)}, and only ${lsnText(recorded.lsn)} was confirmed to it: somebody advanced it or made it again, and what is between is not in the stream. ${describeGap(end, { lsn: slotConfirmed, isPresent: false })} ${loadAnew(pipeline)}`);
  }
  if (end.position < recorded.to) {
    const gap = describeGap(end, { lsn: parsePosition(recorded.to).lsn, isPresent: false });
    throw new ConfigurationError(`The stream of pipeline ${pipeline} would go on at ${end.position}, and the source was already told to forget everything up to ${recorded.to}: the spool was lost, or a sink was set back, and what is between is gone. ${gap} ${loadAnew(pipeline)}`);
  }
}

function slotLost(pipeline: string, what: string, end: StreamEnd, walEnd: Lsn): ConfigurationError {
  const gap = describeGap(end, { lsn: walEnd, isPresent: true });
  return new ConfigurationError(`The replication slot ${sourceNames(pipeline).slot} of pipeline ${pipeline} ${what}: changes behind what was read are not in the stream any more. ${gap} ${loadAnew(pipeline)}`);
}
