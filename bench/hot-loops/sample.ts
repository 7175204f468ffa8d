import { DimensionStore } from '../../core/capture/dimension-store.ts';
import { resolve } from '../../core/define/resolve.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import definition from '../../pipelines/engagement.ts';
import { devices, makeContent } from '../load/catalogue.ts';
import { Random } from '../load/random.ts';

/** What a source sends of the sample's events, as it stands on the wire: binary pgoutput, transactions of 1,000 rows. */
export type Sample = {
  readonly pipeline: Pipeline;
  readonly rows: number;
  readonly bytes: Buffer;
  /** Of each message: where it ends. */
  readonly ends: readonly number[];
  readonly dimensions: () => ReadonlyMap<string, DimensionStore>;
};

const transactionRows = 1_000;
const relationId = 7;
/** Microseconds since 2000: 2026-11-21 10:00. */
const startUs = 849_060_000_000_000n;
export const typeOfOid = new Map([[20, 'int8'], [2950, 'uuid'], [25, 'text'], [1184, 'timestamptz'], [23, 'int4'], [3802, 'jsonb']] as const);
const columns = [['id', 20], ['content_id', 2950], ['user_id', 2950], ['event_type', 25], ['event_ts', 1184], ['duration_ms', 23], ['device', 25], ['raw_payload', 3802]] as const;
const types = ['play', 'play', 'play', 'pause', 'finish', 'click'];

/** The same bytes for the same number of rows. */
export function makeSample(rows: number): Sample {
  const random = new Random(1);
  const contents = makeContent(random, 1_000);
  const users = Array.from({ length: 20_000 }, () => random.uuid());
  const messages = [relation()];
  for (let row = 0; row < rows; row++) {
    const lsn = BigInt(1_000_000 + Math.floor(row / transactionRows) * 1_000);
    const at = startUs + BigInt(row) * 40n;
    if (row % transactionRows === 0) messages.push(Buffer.concat([letter('B'), int64(lsn), int64(at + 100_000n), int32(1)]));
    const content = contents[random.zipf(contents.length)]!;
    const device = random.pick(devices);
    messages.push(
      insert([int64(BigInt(row + 1)), uuid(content.id), random.below(50) === 0 ? undefined : uuid(random.pick(users)), Buffer.from(random.pick(types)), int64(at - BigInt(random.below(15_000_000))), random.below(6) === 0 ? undefined : int32(random.below(3_000_000)), Buffer.from(device), Buffer.from(`\u0001{"os": "${device}", "app": "4.${random.below(40)}.${random.below(10)}", "net": "wifi", "session": "${random.uuid()}"}`)]),
    );
    if (row % transactionRows === transactionRows - 1 || row === rows - 1) messages.push(Buffer.concat([letter('C'), Buffer.from([0]), int64(lsn), int64(lsn + 8n), int64(at + 100_000n)]));
  }
  const pipeline = resolve(definition, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1/', SLUICE_EXTERNAL_SECRET: 'whsec_AAAA' });
  let end = 0;
  const ends = messages.map((message) => (end += message.length));
  return {
    pipeline: { ...pipeline, settings: { ...pipeline.settings, segmentRows: rows + 1, segmentBytes: Number.MAX_SAFE_INTEGER } },
    rows,
    bytes: Buffer.concat(messages),
    ends,
    dimensions: () => {
      const store = new DimensionStore(pipeline.source.dimensions['content']!);
      for (const { id, title, type, lengthSeconds } of contents) {
        const values: Record<string, string | null> = { id, title, content_type: type, length_seconds: lengthSeconds === undefined ? null : String(lengthSeconds) };
        store.putValues(id, (name) => values[name]!);
      }
      return new Map([['content', store]]);
    },
  };
}

function relation(): Buffer {
  const fields = columns.map(([name, oid]) => Buffer.concat([Buffer.from([0]), Buffer.from(`${name}\0`), int32(oid), int32(-1)]));
  return Buffer.concat([letter('R'), int32(relationId), Buffer.from('public\0engagement_events\0f'), int16(columns.length), ...fields]);
}

function insert(values: readonly (Buffer | undefined)[]): Buffer {
  const fields = values.flatMap((value) => (value ? [letter('b'), int32(value.length), value] : [letter('n')]));
  return Buffer.concat([letter('I'), int32(relationId), letter('N'), int16(values.length), ...fields]);
}

function letter(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function uuid(text: string): Buffer {
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}
