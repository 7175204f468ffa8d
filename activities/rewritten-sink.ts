import type { ClickHouseSink } from '../connectors/clickhouse/clickhouse-sink.ts';
import type { DeadLetters } from '../connectors/postgres/dead-letters.ts';
import { parsePosition, position, type Position } from '../core/position.ts';
import type { RangeSink } from './backfill-loop.ts';
import type { RewrittenSink } from './rewrite-rows.ts';

/**
 * For one attempt, under a name of its own. Each piece is followed by a mark, greater each time, of the table that was there when
 * the attempt began: one that was made or exchanged since has none of them, and one that was put back to any moment of the
 * rewrite or before has not the last.
 */
export function rewrittenSink(name: string, sink: ClickHouseSink, { load }: Pick<RangeSink, 'load'>, letters: Pick<DeadLetters, 'rewritten'>): RewrittenSink {
  let loads = 0;
  const mark = (base: Position, number: number) => {
    const { epoch, lsn } = parsePosition(base);
    return { backfill: name, at: position(epoch, lsn, number) };
  };
  let target = '';
  return {
    begin: async (base) => {
      target = await sink.target();
      await sink.mark(mark(base, loads), target);
    },
    load: async (rows) => {
      const { to: base } = rows.header;
      await sink.assertMarked(target, mark(base, loads));
      await load(rows);
      await sink.mark(mark(base, loads + 1), target);
      loads++;
    },
    finish: async (base) => {
      await sink.finishRewrite(target, mark(base, loads), base);
      // not before: a lane that goes on from a backup after all would miss what they speak of
      await letters.rewritten(base);
    },
  };
}
