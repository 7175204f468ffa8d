import type { ClickHouseSink } from '../connectors/clickhouse/clickhouse-sink.ts';
import type { DeadLetters } from '../connectors/postgres/dead-letters.ts';
import { parsePosition, position, type Position } from '../core/position.ts';
import type { RangeSink } from './backfill-loop.ts';
import type { RewrittenSink } from './rewrite-rows.ts';

/**
 * For one attempt, under a name of its own. Each piece is followed by a mark, greater each time: a table that was dropped, or
 * put back to any moment of the rewrite or before, has not the last of them.
 */
export function rewrittenSink(name: string, sink: ClickHouseSink, { load }: Pick<RangeSink, 'load'>, letters: Pick<DeadLetters, 'rewritten'>): RewrittenSink {
  let loads = 0;
  const mark = (base: Position, number: number) => {
    const { epoch, lsn } = parsePosition(base);
    return { backfill: name, at: position(epoch, lsn, number) };
  };
  return {
    begin: (base) => sink.mark(mark(base, loads)),
    load: async (rows) => {
      const { to: base } = rows.header;
      await sink.assertMarked(mark(base, loads));
      await load(rows);
      await sink.mark(mark(base, loads + 1));
      loads++;
    },
    finish: async (base) => {
      await sink.finishRewrite(mark(base, loads), base);
      // not before: a lane that goes on from a backup after all would miss what they speak of
      await letters.rewritten(base);
    },
  };
}
