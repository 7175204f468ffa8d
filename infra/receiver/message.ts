import { zstdDecompressSync } from 'node:zlib';
import { maxBodyBytes } from './body.ts';

/** An event of a message: the key as text, and the row as it was written, without a detour over doubles. */
export type Event = { readonly position: string; readonly op: string; readonly key: string; readonly row: string | null };

/** The JSON of a body, which may be compressed (zstd). Throws if it is not what it seems, or more than a body may have. */
export function unpack(body: Uint8Array): Buffer {
  const { buffer, byteOffset, byteLength } = body;
  const isCompressed = magic.every((byte, index) => body[index] === byte);
  return isCompressed ? zstdDecompressSync(body, { maxOutputLength: maxBodyBytes, chunkSize: 3 << 20 }) : Buffer.from(buffer, byteOffset, byteLength);
}

export function isList(json: Buffer): boolean {
  return json[0] === openBracket && json.at(-1) === closeBracket;
}

/**
 * Each event begins with its position. Parsing half a gigabyte of JSON to count a million of them would cost more than
 * everything else here. Text cannot look like this: its quotes are escaped.
 */
export function eventsIn(json: Buffer): number {
  let events = 0;
  for (let at = json.indexOf(eventStart); at >= 0; at = json.indexOf(eventStart, at + eventStart.length)) events++;
  return events;
}

export function* eventsOf(json: Buffer): Generator<Event> {
  const text = json.toString();
  for (let start = text.indexOf(eventStart); start >= 0; ) {
    const next = text.indexOf(eventStart, start + eventStart.length);
    // without the comma, or the bracket, behind it
    yield parse(text.slice(start, (next < 0 ? text.length : next) - 1));
    start = next;
  }
}

function parse(event: string): Event {
  const split = event.indexOf(rowStart);
  const head = JSON.parse(`${event.slice(0, split)}}`) as { position: string; op: string; key: unknown };
  const row = event.slice(split + rowStart.length, -1);
  return { position: head.position, op: head.op, key: String(head.key), row: row === 'null' ? null : row };
}

const eventStart = '{"position":"';
const rowStart = ',"row":';
const magic = [0x28, 0xb5, 0x2f, 0xfd];
const openBracket = 0x5b;
const closeBracket = 0x5d;
