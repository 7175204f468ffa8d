import type { ClickHouseSink } from '../connectors/clickhouse/clickhouse-sink.ts';
import type { DeadLetters } from '../connectors/postgres/dead-letters.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import type { Expression } from '../core/expressions/expression.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { Position } from '../core/position.ts';
import type { RangeSink } from './backfill-loop.ts';

/** `voidedBelow`: up to where the lane has applied a truncate, or is about to. */
export function rangeSink({ name, source, row, sinks }: Pipeline, lane: string, sink: ClickHouseSink, letters: Pick<DeadLetters, 'voidedBelow' | 'waitingBelow'>): RangeSink {
  const { eventTime } = source.events;
  const definition = sinks[lane];
  const orderBy = definition?.kind === 'clickhouse' ? definition.orderBy : [];
  return {
    readFence: () => sink.readFence(),
    load: async (rows) => {
      await sink.load(rows);
      // the lane may have passed a truncate before these rows came, and then nothing else would bury them
      const below = await letters.voidedBelow();
      if (below !== undefined && below > rows.header.to) await sink.bury(below);
    },
    loaded: (mark) => sink.mark(mark),
    finish: async (range, base, mark) => {
      const time = Object.keys(row).find((column) => isColumn(row[column]!, eventTime));
      if (time === undefined) throw new ConfigurationError(`The rows of ${lane} have no column that is the event time ${eventTime}, so those of a time cannot be told from others. Add it to the definition's row, or leave ${lane} out: --views only.`);
      if (!orderBy.includes(time)) await assertNoneWaits(time, base);
      return sink.buryMissing(time, range, base, mark);
    },
  };

  /** One that moves a row to another time would come below the tombstone of where the row was. */
  async function assertNoneWaits(time: string, base: Position): Promise<void> {
    const waiting = await letters.waitingBelow(base);
    if (waiting === 0) return;
    throw new ConfigurationError(`${waiting} ${waiting === 1 ? 'dead letter waits' : 'dead letters wait'} for ${lane}, whose sort key (${orderBy.join(', ')}) has no ${time}: a row that one of them moves to another time would be taken for deleted. Replay or drop them first: ./sluice dlq list ${name} --lane ${lane}`);
  }
}

function isColumn(expression: Expression, column: string): boolean {
  return expression.op === 'column' && expression.table === 'events' && expression.column === column;
}
