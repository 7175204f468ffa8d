/**
 * Memory of segments that nobody looks at any more, for the next ones. Fresh megabytes are dear: each 64 of them bring
 * about a garbage collection of the whole heap, and the kernel clears their pages.
 */
export class SegmentMemory {
  readonly #free: ArrayBuffer[] = [];
  #freeBytes = 0;

  /** `size` bytes of any content, beginning at a multiple of 8. */
  take(size: number): Uint8Array {
    const place = this.#free.findIndex(({ byteLength }) => byteLength >= size && byteLength <= size * 2);
    if (place < 0) return new Uint8Array(fresh(size), 0, size);
    const [memory] = this.#free.splice(place, 1);
    this.#freeBytes -= memory!.byteLength;
    return new Uint8Array(memory!, 0, size);
  }

  /** Nobody may look at these bytes any more. */
  give(bytes: Uint8Array): void {
    const { buffer } = bytes;
    if (!isUsedAgain(bytes) || this.#freeBytes + buffer.byteLength > mostFree) return;
    this.#free.push(buffer as ArrayBuffer);
    this.#freeBytes += buffer.byteLength;
  }
}

function isUsedAgain({ buffer, byteOffset }: Uint8Array): boolean {
  return byteOffset === 0 && buffer.byteLength >= worthKeeping;
}

/** Not zeroed. Large ones are rounded up by at most an eighth, so that they fit again. */
function fresh(size: number): ArrayBuffer {
  const step = 2 ** (Math.floor(Math.log2(size)) - 3);
  return Buffer.allocUnsafeSlow(size < worthKeeping ? size : Math.ceil(size / step) * step).buffer;
}

const worthKeeping = 16 << 10;
const mostFree = 16 << 20;
