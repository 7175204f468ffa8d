import type { Bytes } from '../../core/columns/copy-bytes.ts';
import { copyBytes } from '../../core/columns/copy-bytes.ts';
import { writeAscii } from './digits.ts';
import type { JsonBuffer } from './json-buffer.ts';

/** UTF-8 as the inside of a JSON string. Runs of bytes that need no escape are copied whole. */
export function writeEscaped(out: JsonBuffer, at: number, source: Bytes, start: number, end: number): number {
  const { data } = source;
  let from = start;
  for (let index = start; index < end; index++) {
    const byte = data.getUint8(index);
    if (byte >= 0x20 && byte !== quote && byte !== backslash) continue;
    at = writeAscii(out.data, copyBytes(out, at, source, from, index), escapes[byte]!);
    from = index + 1;
  }
  return copyBytes(out, at, source, from, end);
}

/** A byte becomes `\u0007` at most. */
export const longestEscape = 6;

const quote = 0x22;
const backslash = 0x5c;
/** For the bytes that JSON cannot hold as they are. */
const escapes: readonly string[] = Array.from({ length: 128 }, (_, code) => JSON.stringify(String.fromCharCode(code)).slice(1, -1));
