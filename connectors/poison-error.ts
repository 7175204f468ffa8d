/**
 * The destination refused what it was given for its content, and would refuse it again. The lane halves what it applies
 * until one event is left, and sets that one aside.
 */
export class PoisonError extends Error {
  override readonly name = 'PoisonError';
  /** What the destination said. It may quote the row, so it is for the dead letter, never for logs or histories: nor is there a cause. */
  readonly detail: string;
  constructor(message: string, detail: string, options?: ErrorOptions) {
    super(message, options);
    // Postgres has no NUL in its texts
    this.detail = detail.replaceAll('\0', '');
  }
}
