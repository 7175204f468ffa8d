import { ActivityFailure, ApplicationFailure, RetryState } from '@temporalio/common';
import { configurationFailure } from '../core/failure-types.ts';

/** Why a part stopped for good: something that a person can mend, or a bug. */
export type Refusal = { readonly kind: 'configuration' | 'bug'; readonly sentence: string };

/**
 * Of an error that a step ended with. Undefined: the step was only cut short (its worker was killed while it was being
 * cancelled), and the next one goes on.
 */
export function refusal(error: unknown): Refusal | undefined {
  if (!(error instanceof ActivityFailure)) return { kind: 'bug', sentence: error instanceof Error ? error.message : String(error) };
  const { cause, retryState } = error;
  if (retryState !== RetryState.NON_RETRYABLE_FAILURE || !(cause instanceof ApplicationFailure)) return undefined;
  return { kind: cause.type === configurationFailure ? 'configuration' : 'bug', sentence: cause.message };
}
