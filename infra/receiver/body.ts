import type { IncomingMessage } from 'node:http';

export const maxBodyBytes = 64 << 20;

export class TooLarge extends Error {
  override readonly name = 'TooLarge';
  constructor() {
    super(`more than ${maxBodyBytes} bytes`);
  }
}

/** Memory that held a body and waits for the next: fresh megabytes cost as much as filling them. */
let spare: Buffer = Buffer.alloc(0);

/**
 * Reads a request's body, shows each chunk to `arriving`, and hands the whole to `use`, which must not keep it. Throws
 * TooLarge.
 */
export async function withBody<T>(request: IncomingMessage, arriving: (chunk: Buffer) => void, use: (body: Buffer) => T): Promise<T> {
  let memory: Buffer = takeSpare(Math.min(Number(request.headers['content-length'] ?? 65_536) || 0, maxBodyBytes));
  let length = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const take = (chunk: Buffer) => {
    const end = length + chunk.length;
    if (end > maxBodyBytes) {
      request.off('data', take).resume(); // the sender sees an answer only when it has sent everything
      return reject(new TooLarge());
    }
    if (end > memory.length) memory = larger(memory, length, end);
    chunk.copy(memory, length);
    length = end;
    arriving(chunk);
  };
  request.on('data', take);
  request.on('end', resolve);
  request.on('error', reject);
  try {
    await promise;
    return use(memory.subarray(0, length));
  } finally {
    if (memory.length > spare.length) spare = memory;
  }
}

function takeSpare(size: number): Buffer {
  if (spare.length < size) return Buffer.allocUnsafeSlow(size);
  const taken = spare;
  spare = Buffer.alloc(0);
  return taken;
}

function larger(memory: Buffer, used: number, size: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(Math.min(maxBodyBytes, Math.max(size, memory.length * 2)));
  memory.copy(copy, 0, 0, used);
  return copy;
}
