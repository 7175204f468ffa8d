import { zstdDecompressSync } from 'node:zlib';
import { maxBodyBytes } from './body.ts';

/** An event of a message: the key as text, and the row as it was written, without a detour over doubles. */
export type Event = { readonly position: string; readonly op: string; readonly key: string; readonly row: string | null };

/** The JSON of a body, which may be compressed (zstd). Throws if it is not what it seems, or more than a body may have. */
export function unpack(body: Uint8Array): Buffer {
  const { buffer, byteOffset, byteLength } = body;
  return isCompressed(body) ? zstdDecompressSync(body, { maxOutputLength: maxBodyBytes, chunkSize: 3 << 20 }) : Buffer.from(buffer, byteOffset, byteLength);
}

export function isCompressed(body: Uint8Array): boolean {
  return magic.every((byte, index) => body[index] === byte);
}

export function isList(json: Buffer): boolean {
  return json[0] === openBracket && json.at(-1) === closeBracket;
}

/**
 * How many events a body has. Each begins with its position. Parsing half a gigabyte of JSON to count a million of them
 * would cost more than everything else here; a json value that looks like an event would be counted with them.
 */
export function eventsIn(json: Buffer): number {
  let events = 0;
  for (let at = json.indexOf(eventStart); at >= 0; at = json.indexOf(eventStart, at + eventStart.length)) {
    if (json.toString('latin1', at + eventStart.length + positionDigits, at + eventStart.length + positionDigits + afterPosition.length) === afterPosition) events++;
  }
  return events;
}

/** Throws a SyntaxError if it is no list of events. */
export function* eventsOf(json: Buffer): Generator<Event> {
  const text = json.toString();
  for (const event of elementsOf(text)) yield parse(event);
}

/** The texts of a list's objects. */
function* elementsOf(list: string): Generator<string> {
  let depth = 0;
  let start = 0;
  for (let at = 0; at < list.length; at++) {
    switch (list.charCodeAt(at)) {
      case quote:
        at = endOfString(list, at);
        break;
      case openBrace:
      case openBracket:
        if (depth++ === 1) start = at;
        break;
      case closeBrace:
      case closeBracket:
        if (--depth === 1) yield list.slice(start, at + 1);
        break;
    }
  }
}

function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === backslash) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}

function parse(event: string): Event {
  const split = event.indexOf(rowStart);
  const head = JSON.parse(`${event.slice(0, split)}}`) as { position: string; op: string; key: unknown };
  // json, unlike jsonb, keeps the line breaks between its values
  const row = event.slice(split + rowStart.length, -1).replace(/[\r\n]/g, ' ');
  return { position: head.position, op: head.op, key: String(head.key), row: row === 'null' ? null : row };
}

const eventStart = '{"position":"';
const rowStart = ',"row":';
const magic = [0x28, 0xb5, 0x2f, 0xfd];
const positionDigits = 32;
const afterPosition = '","op":"';
const quote = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
