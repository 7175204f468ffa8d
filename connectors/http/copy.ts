import type { JsonBuffer } from './json-buffer.ts';

/** A text that is written often, padded to whole words of 8 bytes. */
export type Literal = { readonly data: DataView; readonly length: number };

export function literal(text: string): Literal {
  const bytes = new TextEncoder().encode(text);
  const padded = new Uint8Array(wholeWords(bytes.length));
  padded.set(bytes);
  return { data: new DataView(padded.buffer), length: bytes.length };
}

export function writeLiteral(target: DataView, at: number, { data, length }: Literal): number {
  return copyWords(target, at, data, 0, length);
}

/** Copies by words of 8 bytes: up to 7 more than asked for, which the next write covers. Needs room for `wholeWords`. */
export function copyWords(target: DataView, at: number, source: DataView, start: number, length: number): number {
  for (let done = 0; done < length; done += 8) target.setBigInt64(at + done, source.getBigInt64(start + done, true), true);
  return at + length;
}

export function wholeWords(length: number): number {
  return (length + 7) & ~7;
}

/** Bytes in both views: words of 8 are copied faster by hand, up to some length, than by a call to the engine's copy. */
export type Bytes = { readonly buffer: Buffer; readonly data: DataView };

export function bytesOf(source: Uint8Array): Bytes {
  const { buffer, byteOffset, byteLength } = source;
  return { buffer: Buffer.from(buffer, byteOffset, byteLength), data: new DataView(buffer, byteOffset, byteLength) };
}

/** Copies exactly [start, end). */
export function copy(out: JsonBuffer, at: number, source: Bytes, start: number, end: number): number {
  const length = end - start;
  if (length > callPaysAbove) source.buffer.copy(out.buffer, at, start, end);
  else if (length >= 8) {
    const target = out.data;
    const { data } = source;
    const last = length - 8;
    for (let done = 0; done < last; done += 8) target.setBigInt64(at + done, data.getBigInt64(start + done, true), true);
    // the last word overlaps the one before
    target.setBigInt64(at + last, data.getBigInt64(end - 8, true), true);
  } else for (let index = 0; index < length; index++) out.data.setUint8(at + index, source.data.getUint8(start + index));
  return at + length;
}

const callPaysAbove = 320;
