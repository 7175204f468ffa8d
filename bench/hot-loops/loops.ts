import { piecesOf } from '../../connectors/clickhouse/pieces.ts';
import { sinkTable } from '../../connectors/clickhouse/clickhouse-sink.ts';
import { Chunks } from '../../connectors/clickhouse/chunks.ts';
import { writePieces } from '../../connectors/clickhouse/insert.ts';
import { JsonBuffer } from '../../connectors/http/json-buffer.ts';
import { MessageWriter } from '../../connectors/http/message.ts';
import { PgoutputDecoder } from '../../connectors/postgres/pgoutput/decoder.ts';
import type { AssembledSegment } from '../../core/capture/assembler.ts';
import { SegmentAssembler } from '../../core/capture/assembler.ts';
import { beforeColumns } from '../../core/define/before-columns.ts';
import { position } from '../../core/position.ts';
import { encodeSegment, openSegment } from '../../core/segment-file.ts';
import { Folder } from '../../core/views/fold.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import { type Sample, typeOfOid } from './sample.ts';

/** A pass over all rows of the sample. Returns something that depends on what it did, so that no engine leaves it out. */
export type Loop = () => number;

/** What every row goes through in the worker, each part by itself. */
export function hotLoops(sample: Sample): Readonly<Record<string, Loop>> {
  const { pipeline } = sample;
  const from = position(1, 0n, 0);
  const clickhouse = pipeline.sinks['enriched'] as Extract<(typeof pipeline.sinks)[string], { kind: 'clickhouse' }>;
  const table = sinkTable(pipeline, clickhouse);
  const folders = paneSetsOf(pipeline).map((set) => new Folder(pipeline.source.events, set, pipeline.settings.maxFutureMs));
  const json = new JsonBuffer(1 << 20);
  const decode = decoder(sample);
  const assembled = decode();
  const memory = new Uint8Array(encodeSegment(assembled).length + 4_096);
  const segment = openSegment(encodeSegment(assembled), { verify: false });
  const { to } = segment.header;
  return {
    decode: () => decode().header.seq,
    encode: () => encodeSegment(assembled, (size) => memory.subarray(0, size)).length,
    fold: () => {
      let entries = 0;
      // another object each time: what was prepared for a segment is kept as long as that is the newest
      const fresh = { ...segment, batches: segment.batches.map((batch) => ({ ...batch })) };
      for (const folder of folders) {
        folder.add(fresh, { fromTransaction: 0, toTransaction: segment.transactions.count });
        entries += folder.take().deltas.count;
      }
      return entries;
    },
    json: () => new MessageWriter(pipeline).events(json, [segment], from, to),
    native: () => {
      const chunks = new Chunks();
      writePieces(chunks, table, piecesOf(segment, table, from, to));
      return chunks.end().length;
    },
  };
}

function decoder({ pipeline, bytes, ends, dimensions }: Sample): () => AssembledSegment {
  const assembler = new SegmentAssembler({ pipeline, shard: pipeline.name, captureId: 'bench', epoch: 1, from: position(1, 0n, 0), seq: 1, beforeColumns: beforeColumns(pipeline), dimensions: dimensions() });
  const emit = () => {
    throw new Error('the sample fits into one segment');
  };
  const messages = new PgoutputDecoder(assembler, { pipeline, typeOf: (oid) => typeOfOid.get(oid as 20) ?? 'other', formerNames: () => [], knownNames: () => undefined, emit });
  let isFilled = false;
  return () => {
    if (isFilled) assembler.release();
    isFilled = true;
    let start = 0;
    for (const end of ends) {
      messages.message(bytes, start, end, 0, start);
      start = end;
    }
    return assembler.cut();
  };
}
