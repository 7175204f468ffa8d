/** The outside system could not just now (network, overload, restart): the same call again, later, may well succeed. */
export class TransientError extends Error {
  override readonly name = 'TransientError';
  /** What the other side asked for; undefined: the caller's own back-off. */
  readonly retryAfterMs: number | undefined;
  constructor(message: string, options?: { cause?: unknown; retryAfterMs?: number | undefined }) {
    super(message, { cause: options?.cause });
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** Errors of the connection itself, whatever client it belongs to: `ECONNREFUSED` and its relatives. */
export function isNetworkError(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (networkCodes.has((cause as NodeJS.ErrnoException).code ?? '')) return true;
  }
  return false;
}

const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
  'ERR_STREAM_PREMATURE_CLOSE',
]);
