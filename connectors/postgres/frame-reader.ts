import type { Duplex } from 'node:stream';
import { Socket } from 'node:net';
import { int32 } from '../../core/columns/column.ts';

/** Takes a whole frame: its type byte is at `start`, its body in [start + 5, end). The bytes are reused afterwards. */
export type FrameTarget = (bytes: Buffer, start: number, end: number) => void;

/** A socket whose bytes arrive in one reused buffer; until a reader takes it over it behaves as any other socket. */
export class ReusedBufferSocket extends Socket {
  /** Takes `length` bytes of the buffer; false: stop reading until `resumeReading`. */
  onBytes: ((bytes: Buffer, length: number) => boolean) | undefined;
  #handleOwner = false;

  constructor() {
    const chunk = Buffer.allocUnsafeSlow(chunkBytes);
    super({
      onread: {
        buffer: chunk,
        callback: (length: number): boolean => {
          if (this.onBytes) {
            this.#handleOwner = true;
            return this.onBytes(chunk, length);
          }
          this.emit('data', Buffer.from(chunk.subarray(0, length)));
          return true;
        },
      },
    } as ConstructorParameters<typeof Socket>[0]);
  }

  pauseReading(): void {
    if (this.#handleOwner && !this.destroyed) this.pause();
  }

  resumeReading(): void {
    if (this.#handleOwner && !this.destroyed) this.resume();
  }
}

/**
 * Splits what a Postgres server sends into frames without copying, and reads at a pace: a short pause after a read that
 * did not fill the buffer halves the cost of reading on both sides (LIMITS.md, fewer reads).
 */
export class FrameReader {
  readonly #socket: Duplex;
  readonly #target: FrameTarget;
  readonly #onError: (error: unknown) => void;
  #rest: Buffer = Buffer.alloc(0);
  #restLength = 0;
  #held = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  /** Counts reads: a connection that gives none any more may be dead. */
  reads = 0;

  constructor(socket: Duplex, target: FrameTarget, onError: (error: unknown) => void) {
    this.#socket = socket;
    this.#target = target;
    this.#onError = onError;
    if (socket instanceof ReusedBufferSocket) socket.onBytes = (bytes, length) => this.#read(bytes, length);
    else socket.on('data', (bytes: Buffer) => this.#read(bytes, bytes.length));
  }

  get held(): boolean {
    return this.#held;
  }

  /** Stops reading: the server's own buffers fill, and the slot keeps the rest. Of what is being split just now, the rest still comes. */
  hold(): void {
    this.#held = true;
    if (this.#socket instanceof ReusedBufferSocket) this.#socket.pauseReading();
    else this.#socket.pause();
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#resume();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #read(bytes: Buffer, length: number): boolean {
    if (this.#stopped) return false;
    this.reads++;
    try {
      this.#split(bytes, length);
    } catch (error) {
      this.#stopped = true;
      this.#onError(error);
      return false;
    }
    if (!(this.#socket instanceof ReusedBufferSocket)) return true;
    if (this.#held) return false;
    if (length === chunkBytes) return true;
    this.#timer = setTimeout(() => this.#resume(), paceMs);
    return false;
  }

  #resume(): void {
    if (this.#stopped || this.#held) return;
    if (this.#socket instanceof ReusedBufferSocket) this.#socket.resumeReading();
    else this.#socket.resume();
  }

  #split(bytes: Buffer, length: number): void {
    let at = 0;
    if (this.#restLength > 0) {
      at = this.#finishRest(bytes, length);
      if (at < 0) return;
    }
    while (length - at >= 5) {
      const end = at + 1 + int32(bytes, at + 1);
      if (end > length) break;
      this.#target(bytes, at, end);
      at = end;
    }
    if (at < length) this.#keep(bytes, at, length);
  }

  /** Completes the frame that the last read began; returns where the next one begins, -1 if this one is not whole yet. */
  #finishRest(bytes: Buffer, length: number): number {
    let at = 0;
    if (this.#restLength < 5) {
      const missing = Math.min(5 - this.#restLength, length);
      this.#keep(bytes, 0, missing);
      at = missing;
      if (this.#restLength < 5) return -1;
    }
    const frame = 1 + int32(this.#rest, 1);
    const missing = Math.min(frame - this.#restLength, length - at);
    this.#keep(bytes, at, at + missing);
    at += missing;
    if (this.#restLength < frame) return -1;
    this.#restLength = 0;
    this.#target(this.#rest, 0, frame);
    return at;
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    const needed = this.#restLength + end - start;
    const frame = this.#restLength >= 5 ? 1 + int32(this.#rest, 1) : 0;
    if (this.#rest.length < Math.max(needed, frame)) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, frame, 4096));
      this.#rest.copy(larger, 0, 0, this.#restLength);
      this.#rest = larger;
    }
    bytes.copy(this.#rest, this.#restLength, start, end);
    this.#restLength = needed;
  }
}

const chunkBytes = 256 * 1024;
const paceMs = 1;
