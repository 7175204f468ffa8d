/** Bytes in both views: words of 8 are copied faster by hand, up to some length, than by a call to the engine's copy. */
export type Bytes = { readonly buffer: Buffer; readonly data: DataView };

export function bytesOf(source: Uint8Array): Bytes {
  const { buffer, byteOffset, byteLength } = source;
  return { buffer: source instanceof Buffer ? source : Buffer.from(buffer, byteOffset, byteLength), data: new DataView(buffer, byteOffset, byteLength) };
}

/** Copies exactly [start, end). Returns the place behind it. */
export function copyBytes(target: Bytes, at: number, source: Bytes, start: number, end: number): number {
  const length = end - start;
  if (length > callPaysAbove) source.buffer.copy(target.buffer, at, start, end);
  else if (length >= 8) {
    const [to, from] = [target.data, source.data];
    const last = length - 8;
    for (let done = 0; done < last; done += 8) to.setBigInt64(at + done, from.getBigInt64(start + done, true), true);
    // the last word overlaps the one before
    to.setBigInt64(at + last, from.getBigInt64(end - 8, true), true);
  } else for (let index = 0; index < length; index++) target.data.setUint8(at + index, source.data.getUint8(start + index));
  return at + length;
}

const callPaysAbove = 320;
