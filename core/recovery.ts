/** `recover` without what it is asked for: what is lost, and what would be done. */
export type RecoveryPlan = {
  /** Of the load that is given up. Missing in histories of before it was put on record. */
  readonly epoch?: number;
  /** One sentence on what is missing in the stream; null: nothing is, as far as can be seen. */
  readonly gap: string | null;
  /** What the source's tables are expected to have. */
  readonly rows: number;
  /** What is done, and what nobody can know. */
  readonly says: readonly string[];
};

export const recoveryStates = ['planning', 'waiting', 'loading', 'done', 'cancelled', 'failed'] as const;
export type RecoveryState = (typeof recoveryStates)[number];

export type RecoveryInput = { readonly pipeline: string; /** Nobody is asked. */ readonly approved: boolean };

export type RecoveryStatus = {
  readonly pipeline: string;
  readonly state: RecoveryState;
  readonly plan: RecoveryPlan | null;
  readonly error: string | null;
};

export function recoveryWorkflowId(pipeline: string, at: Date): string {
  return `recovery/${pipeline}/${at.toISOString()}`;
}

export function recoveryText({ gap, rows, says }: RecoveryPlan): string {
  return [gap ?? 'Nothing is missing in the stream, as far as can be seen.', `About ${rows.toLocaleString('en')} rows are read from the source.`, ...says].join('\n');
}
