import type { Client } from 'pg';
import type { Position } from '../../core/position.ts';
import { parsePosition } from '../../core/position.ts';
import { aggregateLane } from '../aggregate/progress.ts';
import { readFence } from '../postgres/state/state.ts';
import { NotComparable } from '../verification/not-comparable.ts';
import { readAggregateNow, type AggregateNow } from '../verification/windows.ts';

/** What was read does not belong together any more: to be read again, with another snapshot. */
export class Again extends Error {
  override readonly name = 'Again';
}

/**
 * Where the aggregate lane is, in the transaction that reads its panes. `compares`: under what they were marked before `at` was
 * chosen. Throws Again unless everything that changed in them since is kept.
 */
export async function readMarked(database: Client, pipeline: string, compares: string, at: Position): Promise<AggregateNow> {
  const fence = await readFence(database, pipeline, aggregateLane);
  const now = await readAggregateNow(database, pipeline);
  if (fence === undefined || parsePosition(fence).epoch !== parsePosition(at).epoch) throw new NotComparable(`Pipeline ${pipeline} is being loaded anew, or has been meanwhile. Reconcile it when it runs: ./sluice status.`);
  const mark = now.rebuilding.find((each) => each.compares === compares);
  if (!mark) throw new Again('a backfill computes panes of this time anew');
  if (mark.voidBelow !== undefined) throw new Again('the table was truncated meanwhile');
  // who waits for the lane looks first
  if (fence < at) throw new Again(`the lane is at ${fence}, before ${at}`);
  return now;
}

/** All that is read in `work` is of one moment; what it leaves are temporary tables. */
export async function asOfOneMoment<T>(database: Client, work: () => Promise<T>): Promise<T> {
  await database.query('begin isolation level repeatable read');
  try {
    const result = await work();
    await database.query('commit');
    return result;
  } catch (error) {
    await database.query('rollback').catch(() => {});
    throw error;
  }
}
