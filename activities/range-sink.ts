import type { ClickHouseSink } from '../connectors/clickhouse/clickhouse-sink.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import type { Expression } from '../core/expressions/expression.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { Position } from '../core/position.ts';
import type { RangeSink } from './backfill-loop.ts';

/** `voidedBelow`: up to where the lane has applied a truncate, or is about to. */
export function rangeSink({ source, row }: Pipeline, lane: string, sink: ClickHouseSink, voidedBelow: () => Promise<Position | undefined>): RangeSink {
  const { eventTime } = source.events;
  return {
    readFence: () => sink.readFence(),
    load: async (rows) => {
      await sink.load(rows);
      // the lane may have passed a truncate before these rows came, and then nothing else would bury them
      const below = await voidedBelow();
      if (below !== undefined && below > rows.header.to) await sink.bury(below);
    },
    loaded: (mark) => sink.mark(mark),
    finish: async (range, base, mark) => {
      const time = Object.keys(row).find((name) => isColumn(row[name]!, eventTime));
      if (time === undefined) throw new ConfigurationError(`The rows of ${lane} have no column that is the event time ${eventTime}, so those of a time cannot be told from others. Add it to the definition's row, or leave ${lane} out: --views only.`);
      return sink.buryMissing(time, range, base, mark);
    },
  };
}

function isColumn(expression: Expression, column: string): boolean {
  return expression.op === 'column' && expression.table === 'events' && expression.column === column;
}
