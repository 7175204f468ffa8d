import type { Position } from '../position.ts';
import type { TextRow } from '../segment-builder.ts';

/** A change event that a lane's destination refused for its content, as the lane would have sent it. */
export type RefusedEvent = {
  readonly position: Position;
  readonly op: LetterOp;
  /** The event table's key as Postgres text. */
  readonly key: string | null;
  /** When its transaction was committed, microseconds since 1970: what is too far in the future depends on it (E13). */
  readonly commitUs: number;
  readonly content: LetterContent;
};

export type LetterOp = 'insert' | 'update' | 'delete';

/** Values as Postgres texts; a column that the source did not send is missing. `after` has the enriched ones too. */
export type LetterContent = { readonly after?: TextRow; readonly before?: TextRow };

/** dropped: a person has decided that its destination will never have it. */
export const letterStates = ['waiting', 'replayed', 'dropped'] as const;
export type LetterState = (typeof letterStates)[number];
