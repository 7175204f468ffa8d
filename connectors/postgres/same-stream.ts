import { loadAnew } from '../../core/load-anew.ts';
import type { Lsn, Position } from '../../core/position.ts';
import { lsnText, parsePosition } from '../../core/position.ts';
import { ConfigurationError } from '../sink.ts';
import { switchPoint } from '../../core/timeline-history.ts';
import type { Confirmed, ShardState } from './shard-state.ts';
import type { Slot, Timeline } from './source.ts';
import type { SourceCatalog } from './source-catalog.ts';
import { sourceNames } from './source-catalog.ts';

/*
 * Whether the stream that a capture is about to read goes on where the last one ended. A slot does not say when it does
 * not, so everything is held against what was put on record. Each throws ConfigurationError.
 */

/** E1: positions of another server, or of a past that it no longer has, say nothing about its stream. */
export function assertSameSource(pipeline: string, shard: Pick<ShardState, 'systemIdentifier'>, start: Position, { systemIdentifier, walEnd }: SourceCatalog): void {
  if (systemIdentifier !== shard.systemIdentifier) {
    throw new ConfigurationError(`The source of pipeline ${pipeline} is another server than the one it was loaded from (system identifier ${systemIdentifier}, not ${shard.systemIdentifier}). Set SLUICE_SOURCE_URL to that one. ${loadAnew(pipeline)}`);
  }
  const { lsn } = parsePosition(start);
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

/** There is a slot, and it still has what follows its confirmed position. */
export function assertSlot(pipeline: string, slot: Slot | undefined): asserts slot is Slot {
  if (!slot) throw slotLost(pipeline, 'is gone');
  if (slot.status === 'lost') throw slotLost(pipeline, 'was invalidated, because it held back more WAL than max_slot_wal_keep_size');
}

/** E6: a slot begins where it was confirmed, whatever it is asked for, and does not say so. `next`: where the chain ends. */
export function assertNoGap(pipeline: string, recorded: Confirmed | undefined, slotConfirmed: Lsn, next: Position): void {
  if (!recorded) return;
  if (slotConfirmed > recorded.lsn) {
    throw new ConfigurationError(`The replication slot of pipeline ${pipeline} stands at ${lsnText(slotConfirmed)}, and only ${lsnText(recorded.lsn)} was confirmed to it: somebody advanced it or made it again, and what is between is not in the stream. ${loadAnew(pipeline)}`);
  }
  if (next < recorded.to) {
    throw new ConfigurationError(`The stream of pipeline ${pipeline} would go on at ${next}, and the source was already told to forget everything up to ${recorded.to}: the spool was lost, or a sink was set back, and what is between is gone. ${loadAnew(pipeline)}`);
  }
}

function slotLost(pipeline: string, what: string): ConfigurationError {
  return new ConfigurationError(
    `The replication slot ${sourceNames(pipeline).slot} of pipeline ${pipeline} ${what}: changes since its last confirmed position are not in the stream any more. ${loadAnew(pipeline)}`,
  );
}
