import { expect, test } from 'vitest';
import type { ClickHouseSink } from '../connectors/clickhouse/clickhouse-sink.ts';
import { resolve } from '../core/define/resolve.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { position, type Position } from '../core/position.ts';
import engagement from '../pipelines/engagement.ts';
import { rangeSink } from './range-sink.ts';

const base = position(1, 100n, 0);
const mark = { backfill: 'one', at: position(1, 100n, 1) };

/** What becomes of the rows of an hour, with so many dead letters, in a table sorted by these. */
function finish(waiting: number, orderBy: readonly string[], row: Pipeline['row'] = pipeline.row): Promise<boolean> {
  const sink = { buryMissing: async () => true } as unknown as ClickHouseSink;
  const letters = { voidedBelow: async () => undefined, waitingBelow: async (below: Position) => (below === base ? waiting : 0) };
  const { enriched } = pipeline.sinks;
  if (enriched?.kind !== 'clickhouse') throw new TypeError('enriched is a table of ClickHouse');
  return rangeSink({ ...pipeline, row, sinks: { enriched: { ...enriched, orderBy } } }, 'enriched', sink, letters).finish({ fromMs: 0, toMs: 3_600_000 }, base, mark);
}

const pipeline = resolve(engagement, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1:1/events', SLUICE_EXTERNAL_SECRET: 'whsec_c2VjcmV0' });

test('E17: dead letters that may move a row to another time are settled before what a snapshot lacks is buried', async () => {
  await expect(finish(2, ['id'])).rejects.toThrow('2 dead letters wait for enriched, whose sort key (id) has no event_ts: a row that one of them moves to another time would be taken for deleted. Replay or drop them first: ./sluice dlq list engagement --lane enriched');
  expect(await finish(0, ['id'])).toBe(true);
  // there the old place is a row of its own
  expect(await finish(2, ['event_ts', 'id'])).toBe(true);
});

test('rows without their event time cannot be told from those of another time', async () => {
  const { event_ts: _, ...row } = pipeline.row;
  await expect(finish(0, ['id'], row)).rejects.toThrow('The rows of enriched have no column that is the event time event_ts');
});
