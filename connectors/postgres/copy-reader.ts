import { int32 } from '../../core/columns/column.ts';

/**
 * Splits the output of `COPY … TO STDOUT (FORMAT binary)` into tuples; each has the fields of a TupleData but for the
 * kind byte. https://www.postgresql.org/docs/18/sql-copy.html (binary format)
 */
export async function* copyTuples(chunks: AsyncIterable<Buffer>): AsyncGenerator<{ bytes: Buffer; start: number; fields: number }> {
  let rest: Buffer = Buffer.alloc(0);
  let headerDone = false;
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    if (!headerDone) {
      if (bytes.length < 19) {
        rest = bytes;
        continue;
      }
      at = 19 + int32(bytes, 15);
      headerDone = true;
    }
    for (;;) {
      const end = tupleEnd(bytes, at);
      if (end < 0) break;
      const fields = bytes.readInt16BE(at);
      if (fields < 0) return;
      yield { bytes, start: at + 2, fields };
      at = end;
    }
    rest = bytes.subarray(at);
  }
  throw new Error('the source ended a COPY before its trailer');
}

/** -1: the tuple is not whole yet. */
function tupleEnd(bytes: Buffer, start: number): number {
  if (bytes.length < start + 2) return -1;
  const fields = bytes.readInt16BE(start);
  let at = start + 2;
  for (let field = 0; field < fields; field++) {
    if (bytes.length < at + 4) return -1;
    at += 4 + Math.max(0, int32(bytes, at));
    if (bytes.length < at) return -1;
  }
  return at;
}
