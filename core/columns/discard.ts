/**
 * Gives an array's memory back now, of which nobody looks at any part any more (it is empty from here on). The garbage
 * collector would do so when it has looked at the whole heap, which 64 megabytes of arrays make it do.
 */
export function discard({ buffer }: Pick<ArrayBufferView, 'buffer'>): void {
  if (buffer.byteLength >= worthwhile) (buffer as ArrayBuffer).transfer(0);
}

/** Smaller ones are not dearer to the collector than this is. */
const worthwhile = 16 << 10;
