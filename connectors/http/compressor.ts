import { promisify } from 'node:util';
import { constants, createZstdCompress } from 'node:zlib';

/**
 * Bodies in zstd, one after another, each a frame of its own from the same context: a context for each would cost more
 * memory than the body has. Compresses off the main thread.
 */
export class Compressor {
  readonly #stream = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: fastest }, chunkSize: 1 << 20 });
  readonly #endFrame = promisify((done: (error?: Error | null) => void) => void this.#stream.flush(constants.ZSTD_e_end, done));
  #parts: Buffer[] = [];
  #last: Promise<unknown> = Promise.resolve();

  constructor() {
    this.#stream.on('error', () => {}); // the call that waits says it
    this.#stream.on('data', (part: Buffer) => this.#parts.push(part));
  }

  /** Calls it when what came before is done. */
  alone<T>(use: () => Promise<T>): Promise<T> {
    const done = this.#last.then(use);
    this.#last = done.catch(() => {});
    return done;
  }

  /** To be called alone. In parts, as they come: put together they would be copied. `body` must not change meanwhile. */
  async compress(body: Uint8Array): Promise<readonly Uint8Array[]> {
    this.#stream.write(body);
    await this.#endFrame();
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  close(): void {
    this.#stream.destroy();
  }
}

/** The level whose time is won back, even on the same machine, by what need not be signed, sent and stored. */
const fastest = 1;
