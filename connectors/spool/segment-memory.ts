import { discard } from '../../core/columns/discard.ts';

/**
 * Memory of segments that nobody looks at any more, for the next ones. Fresh megabytes are dear: each 64 of them bring
 * about a garbage collection of the whole heap, and the kernel clears their pages.
 */
export class SegmentMemory {
  readonly #free: { readonly memory: ArrayBuffer; readonly since: number }[] = [];
  #freeBytes = 0;
  #taken = 0;

  /** `size` bytes of any content, beginning at a multiple of 8. */
  take(size: number): Uint8Array {
    this.#taken++;
    // those of a catch-up that is over fit no segment any more
    while (this.#free.length > 0 && this.#taken - this.#free[0]!.since > longestUnused) this.#drop();
    const place = this.#free.findIndex(({ memory }) => memory.byteLength >= size && memory.byteLength <= size * 2);
    return new Uint8Array(place < 0 ? fresh(size) : this.#remove(place), 0, size);
  }

  /** Nobody may look at these bytes any more. */
  give(bytes: Uint8Array): void {
    if (!isUsedAgain(bytes)) return;
    const memory = bytes.buffer as ArrayBuffer;
    this.#free.push({ memory, since: this.#taken });
    this.#freeBytes += memory.byteLength;
    while (this.#freeBytes > mostFree) this.#drop();
  }

  /** The oldest goes back to the system now, and not when the garbage collector comes to it. */
  #drop(): void {
    discard({ buffer: this.#remove(0) });
  }

  #remove(place: number): ArrayBuffer {
    const { memory } = this.#free.splice(place, 1)[0]!;
    this.#freeBytes -= memory.byteLength;
    return memory;
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
/** What lanes let go of together: two of them have read two large segments each. */
const mostFree = 32 << 20;
/** Segments. */
const longestUnused = 100;
