import type { Pipeline } from '../../core/pipeline.ts';
import { parsePosition } from '../../core/position.ts';
import { ConfigurationError } from '../sink.ts';
import type { SegmentLog } from '../spool/segment-log.ts';
import { assertNoGap, assertNoPhantoms, assertNotSetBack, assertSameSource, assertSlot, claimedTimeline } from './same-stream.ts';
import type { Confirmed, ShardState } from './shard-state.ts';
import { connectSource } from './postgres-source.ts';
import { assertUndecided, streamEndOf, type UndecidedLog } from './undecided-log.ts';

/** What keeps a capture from going on where the spool ends, as the sentence that it would park with; null: nothing. `readConfirmed`: what is on record, read anew, as a capture may be at work. `rows`: what the planner of the source expects of the pipeline's tables; null: not known. */
export async function gapOf(sourceUrl: string, pipeline: Pipeline, shard: ShardState, readConfirmed: () => Promise<Confirmed | undefined>, log: Pick<SegmentLog, 'tail' | 'read' | 'release' | 'lastEvents' | 'lastClaim'>, undecided?: UndecidedLog): Promise<{ readonly gap: string | null; readonly rows: number | null }> {
  const source = await connectSource(sourceUrl, pipeline, shard.tables);
  try {
    const rows = await source.expectedRows();
    const at = (await log.tail())?.to ?? shard.confirmed?.to ?? shard.loadedAt;
    if (at === undefined) return { gap: 'It was never loaded to the end.', rows };
    try {
      const catalog = await source.catalog();
      assertSameSource(pipeline.name, shard, catalog);
      await source.assertPublication();
      const recorded = await readConfirmed();
      const claimed = claimedTimeline((await log.lastClaim())?.claim, shard.epoch, recorded);
      const present = await source.timeline(claimed);
      assertNoPhantoms(pipeline.name, claimed, present, at);
      assertNotSetBack(pipeline.name, at, catalog.walEnd);
      if (undecided) await assertUndecided(pipeline.name, undecided, { epoch: shard.epoch, recorded, present, source });
      // what is told to the slot was on record before, and in the spool before that
      const slot = await source.slot();
      const confirmed = await readConfirmed();
      const end = (await streamEndOf(log, undecided)) ?? { position: at, endLsn: parsePosition(at).lsn, committedMs: undefined };
      assertSlot(pipeline.name, slot, end, catalog.walEnd);
      assertNoGap(pipeline.name, confirmed, slot.confirmed, end);
      return { gap: null, rows };
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      return { gap: error.what, rows };
    }
  } finally {
    await source.close();
  }
}
