import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { configurationFailure } from '../core/failure-types.ts';

/** Why a part stopped for good: something that a person can mend, or a bug. */
export type Refusal = { readonly kind: 'configuration' | 'bug'; readonly sentence: string };

/** Of an error that an activity ended with, retries being of no use. */
export function refusal(error: unknown): Refusal {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const configuration = cause instanceof ApplicationFailure && cause.type === configurationFailure;
  const sentence = cause instanceof Error ? cause.message : String(error);
  return { kind: configuration ? 'configuration' : 'bug', sentence };
}
