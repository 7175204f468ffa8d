import type { PlainEvent, TextRow } from '../../core/segment-builder.ts';

/** What a server sends, https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html: tuples as text. */

/** `of`: what a column is called in rows, if not so. */
export type ServerTable = { readonly id: number; readonly name: string; readonly columns: readonly { readonly name: string; readonly of?: string; readonly typeOid: number }[] };

export function beginMessage(commitLsn: bigint, commitTimeUs: bigint): Buffer {
  return Buffer.concat([byte('B'), int64(commitLsn), int64(since2000(commitTimeUs)), int32(1)]);
}

export function commitMessage(commitLsn: bigint, endLsn: bigint, commitTimeUs: bigint): Buffer {
  return Buffer.concat([byte('C'), Buffer.from([0]), int64(commitLsn), int64(endLsn), int64(since2000(commitTimeUs))]);
}

/** REPLICA IDENTITY FULL. */
export function relationMessage({ id, name, columns }: ServerTable): Buffer {
  const fields = columns.map((column) => Buffer.concat([Buffer.from([0]), text(column.name), int32(column.typeOid), int32(-1)]));
  return Buffer.concat([byte('R'), int32(id), text('public'), text(name), byte('f'), int16(columns.length), ...fields]);
}

export function eventMessage(table: ServerTable, event: PlainEvent): Buffer {
  switch (event.op) {
    case 'insert':
      return Buffer.concat([byte('I'), int32(table.id), byte('N'), tuple(table, event.row)]);
    case 'update':
      return Buffer.concat([byte('U'), int32(table.id), byte('O'), tuple(table, event.old), byte('N'), tuple(table, event.row)]);
    case 'delete':
      return Buffer.concat([byte('D'), int32(table.id), byte('O'), tuple(table, event.old)]);
    case 'truncate':
      return Buffer.concat([byte('T'), int32(1), Buffer.from([0]), int32(table.id)]);
  }
}

export function logicalMessage(lsn: bigint, prefix: string, content: string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([byte('M'), Buffer.from([1]), int64(lsn), text(prefix), int32(bytes.length), bytes]);
}

function tuple({ columns }: ServerTable, row: TextRow): Buffer {
  const fields = columns.map(({ name, of = name }) => {
    const value = row[of] ?? null;
    if (value === null) return byte('n');
    const bytes = Buffer.from(value);
    return Buffer.concat([byte('t'), int32(bytes.length), bytes]);
  });
  return Buffer.concat([int16(columns.length), ...fields]);
}

/** Microseconds as Postgres counts them, of those since 1970. */
export function since2000(us: bigint): bigint {
  return us - 946_684_800_000_000n;
}

function byte(letter: string): Buffer {
  return Buffer.from(letter, 'latin1');
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
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
