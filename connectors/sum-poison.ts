import { SumTooLarge } from '../core/views/pane-table.ts';
import { PoisonError } from './poison-error.ts';

/** Runs `take`, whose sums may be beyond what is exact: then fewer events at once may still be folded. */
export function poisonIfTooLarge<T>(take: () => T): T {
  try {
    return take();
  } catch (error) {
    if (error instanceof SumTooLarge) throw new PoisonError("a pane's sum is beyond 2^53", error.message, { cause: error });
    throw error;
  }
}
