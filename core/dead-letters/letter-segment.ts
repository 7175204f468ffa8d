import { eventsTable } from '../capture/assembler.ts';
import { makeColumn } from '../columns/make-column.ts';
import { State, type Vector } from '../columns/vector.ts';
import { rowSchema } from '../define/row-schema.ts';
import type { ColumnSchema, Pipeline } from '../pipeline.ts';
import { origin, positionWords } from '../position.ts';
import { Operation, type Batch, type Segment } from '../segment.ts';
import type { TextRow } from '../segment-builder.ts';
import type { RefusedEvent } from './dead-letter.ts';

/** A refused event as a segment of its own, at its own position. Its texts are those of a segment, or were checked when they were edited. */
export function letterSegment(pipeline: Pipeline, { position, op, commitUs, content }: Omit<RefusedEvent, 'key'>): Segment {
  const [ordinal, low, high] = positionWords(position);
  const image = (name: Batch['image'], row: TextRow, schema: Readonly<Record<string, ColumnSchema>>): Batch => ({
    table: eventsTable,
    image: name,
    rows: 1,
    positions: Uint32Array.from(positionWords(position)),
    operations: Uint8Array.of(Operation[op]),
    transactionEnds: Uint32Array.of(1),
    columns: new Map(Object.entries(schema).flatMap(([column, each]) => (name === 'after' || column in row ? [[column, vectorOf(column, each, row)] as const] : []))),
  });
  const { after, before } = content;
  return {
    header: { shard: pipeline.name, seq: 0, kind: 'events', captureId: 'dead letter', from: origin, to: position },
    transactions: {
      count: 1,
      lsns: Uint32Array.of(low, high),
      commitTimes: Float64Array.of(commitUs),
      lastOrdinals: Uint32Array.of(ordinal),
      // its transaction ended long ago, and moved the clock then
      complete: Uint8Array.of(0),
      clocks: Float64Array.of(Number.NEGATIVE_INFINITY),
    },
    truncates: [],
    batches: [...(after ? [image('after', after, rowSchema(pipeline))] : []), ...(before ? [image('before', before, pipeline.source.events.columns)] : [])],
    bytes: new Uint8Array(),
  };
}

/** One value; what the source did not send stays 'unchanged'. */
function vectorOf(name: string, schema: ColumnSchema, row: TextRow): Vector {
  const column = makeColumn(schema, 1);
  const value = row[name];
  if (value == null) column.setNull(0);
  else column.text(value, 0);
  const vector = column.vector(1);
  return value === undefined ? { ...vector, states: Uint8Array.of(State.unchanged) } : vector;
}
