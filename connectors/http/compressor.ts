import { constants, createZstdCompress } from 'node:zlib';
import { TransientError } from '../transient-error.ts';

/**
 * Bodies in zstd, one after another, each a frame of its own from the same context: a context for each would cost more
 * memory than the body has. Compresses off the main thread.
 */
export class Compressor {
  readonly #stream = createZstdCompress({ params: fastest, chunkSize: 1 << 20 });
  #parts: Buffer[] = [];
  #last: Promise<unknown> = Promise.resolve();
  /** Of the frame that is being made. */
  #fail: (why: Error) => void = () => {};

  constructor() {
    this.#stream.on('error', () => {}); // the call that waits says it
    this.#stream.on('data', (part: Buffer) => this.#parts.push(part));
    // a call that is under way then is never answered, or as if the part that there is were all
    this.#stream.on('close', () => this.#fail(this.#why()));
  }

  /** Calls it when what came before is done. */
  alone<T>(use: () => Promise<T>): Promise<T> {
    const done = this.#last.then(use);
    this.#last = done.catch(() => {});
    return done;
  }

  /** To be called alone. In parts, as they come: put together they would be copied. `body` must not change meanwhile, nor after it failed. */
  compress(body: Uint8Array): Promise<readonly Uint8Array[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Uint8Array[]>();
    this.#fail = reject;
    this.#stream.write(body);
    this.#stream.flush(constants.ZSTD_e_end, (error?: Error | null) => {
      if (error) reject(this.#why());
      else resolve(this.#parts);
      this.#parts = [];
    });
    return promise;
  }

  close(): void {
    this.#stream.destroy();
  }

  #why(): Error {
    return this.#stream.errored ?? new TransientError('the sink was closed while it compressed a body');
  }
}

/**
 * The level whose time is won back, even on the same machine, by what need not be signed, sent and stored; with a window
 * and a table that stay in a processor's cache: a tenth less time, and a tenth more bytes.
 */
const fastest = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_windowLog]: 17, [constants.ZSTD_c_hashLog]: 13 };
