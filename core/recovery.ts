import { unloadedText } from './unloaded.ts';

/** `recover` without what it is asked for: what is lost, and what would be done. */
export type RecoveryPlan = {
  /** Of the load that is given up. Missing in histories of before it was put on record. */
  readonly epoch?: number;
  /** One sentence on what is missing in the stream or in destinations; null: nothing is, as far as can be seen. */
  readonly gap: string | null;
  /** Destinations that lack what the spool does not have any more: the rows of these are written again, and the stream goes on. Missing: the pipeline is loaded anew. */
  readonly lanes?: readonly string[];
  /** What the source's tables are expected to have; null: not known. */
  readonly rows: number | null;
  /** That nothing needs to be done, and what would be done all the same. Missing: it does. */
  readonly needless?: string;
  /** What is done, and what nobody can know. */
  readonly says: readonly string[];
};

export const recoveryStates = ['planning', 'waiting', 'loading', 'done', 'cancelled', 'failed'] as const;
export type RecoveryState = (typeof recoveryStates)[number];

export type RecoveryInput = {
  readonly pipeline: string;
  /** Nobody is asked. */
  readonly approved: boolean;
  /** Whatever it lacks, the rows of this destination are written again, and nothing else is done. */
  readonly lane?: string;
};

export type RecoveryStatus = {
  readonly pipeline: string;
  readonly state: RecoveryState;
  readonly plan: RecoveryPlan | null;
  /** Of the source, that were read to write destinations again. */
  readonly rows: number;
  readonly error: string | null;
};

export function recoveryWorkflowId(pipeline: string, at: Date): string {
  return `recovery/${pipeline}/${at.toISOString()}`;
}

/** Of a pipeline that is not loaded. */
export function nothingToRecover(pipeline: string): string {
  return unloadedText(pipeline, 'there is nothing to recover');
}

export function recoveryText({ gap, needless, rows, says }: RecoveryPlan): string {
  return [gap ?? 'Nothing is missing in the stream or in a destination, as far as can be seen.', ...(needless === undefined ? [] : [needless]), ...(rows === null ? [] : [`About ${rows.toLocaleString('en')} rows are read from the source.`]), ...says].join('\n');
}
