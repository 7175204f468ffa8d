import { discard } from '../../core/columns/discard.ts';

/**
 * Bytes being written. Writers get the place to write at and return the place behind what they wrote, so that the place
 * stays in a register; room is made once for a whole row (`reserve`), and writing past the end throws.
 */
export class JsonBuffer {
  buffer: Buffer;
  data: DataView;
  /** Set when something is complete. */
  length = 0;

  constructor(size = 65_536) {
    this.buffer = Buffer.allocUnsafeSlow(size);
    this.data = new DataView(this.buffer.buffer);
  }

  /** A view, valid until the next write. */
  view(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  /** Makes room for `size` bytes behind `at`, keeping what is before. */
  reserve(at: number, size: number): void {
    if (at + size > this.buffer.length) this.#grow(at, at + size);
  }

  #grow(used: number, size: number): void {
    const smaller = this.buffer;
    this.buffer = Buffer.allocUnsafeSlow(Math.max(size, Math.ceil(smaller.length * 1.25)));
    this.data = new DataView(this.buffer.buffer);
    smaller.copy(this.buffer, 0, 0, used);
    discard(smaller);
  }
}
