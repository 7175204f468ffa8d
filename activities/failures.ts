import { AssertionError } from 'node:assert';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { PoisonError } from '../connectors/poison-error.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import { BadInput } from '../core/bad-input.ts';
import { NotComparable } from '../connectors/verification/not-comparable.ts';
import { BrokenChain } from '../connectors/spool/segment-chain.ts';
import { SpoolTooShort } from '../connectors/spool/segment-log.ts';
import { isNetworkError, TransientError } from '../connectors/transient-error.ts';
import { MissingVariable } from '../core/define/resolve.ts';
import { loadAnew } from '../core/load-anew.ts';
import { CorruptSegment } from '../core/segment-file.ts';
import { bugFailure, configurationFailure } from '../core/failure-types.ts';

/**
 * What Temporal is told of an error. configuration: the lane parks with the sentence. bug: it stops as broken.
 * Everything else is tried again, for ever and visibly.
 */
export function failureOf(error: unknown): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (!(error instanceof Error)) return new Error(String(error));
  if (error instanceof TransientError) return transient(error);
  if (isNetworkError(error)) return error;
  if (error instanceof PoisonError) return final(configurationFailure, `${error.message}, where no row can be set aside (a first load, or a published result). Mend the row in the source, or what refuses it, and type ./sluice resume.`, error);
  if (error instanceof BrokenChain || error instanceof CorruptSegment) return final(configurationFailure, `The spool is damaged: ${error.message}. Were files deleted or changed? Delete the pipeline's directory in spool/ of the instance's data (SLUICE_DATA, else .sluice/data) and type ./sluice resume: what the destinations lack is read from the source again, if it still has it.`, error);
  if (error instanceof SpoolTooShort) return final(configurationFailure, `${error.message}. ${loadAnew(error.shard)}`, error);
  if (error instanceof ConfigurationError || error instanceof MissingVariable) return final(configurationFailure, error.message, error);
  if (isBug(error)) return final(bugFailure, `${error.name}: ${error.message}${place(error)}`, error);
  return error;
}

/** Of what a person has asked for: what cannot be meant, or not be compared now, is refused with its sentence. */
export async function failing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof BadInput || error instanceof NotComparable ? final(configurationFailure, error.message, error) : failureOf(error);
  }
}

function transient(error: TransientError): ApplicationFailure {
  return ApplicationFailure.create({
    message: error.message,
    type: error.name,
    cause: error,
    ...(error.retryAfterMs === undefined ? {} : { nextRetryDelay: error.retryAfterMs }),
  });
}

function final(type: string, message: string, cause: Error): ApplicationFailure {
  return ApplicationFailure.create({ message, type, cause, nonRetryable: true });
}

const bugs: readonly (new (...args: never[]) => Error)[] = [TypeError, RangeError, ReferenceError, SyntaxError, AssertionError];

function isBug(error: Error): boolean {
  // SQLSTATE classes: data exception, syntax error or access rule violation
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  if (typeof code === 'string' && typeof severity === 'string' && /^(22|42)/.test(code)) return true;
  return bugs.some((kind) => error instanceof kind);
}

/** The stack's first line, of our own if there is one; the rest is in the failure's cause. */
function place(error: Error): string {
  const lines = error.stack?.split('\n').filter((each) => /^\s+at /.test(each) && !each.includes('node:')) ?? [];
  const line = lines.find((each) => !each.includes('node_modules')) ?? lines[0];
  return line === undefined ? '' : ` (${line.trim()})`;
}
