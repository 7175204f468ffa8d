import type { PoolClient } from 'pg';
import type { LetterContent, LetterOp, RefusedEvent } from '../../core/dead-letters/dead-letter.ts';
import type { Position } from '../../core/position.ts';
import { PoisonError } from '../poison-error.ts';
import { classified } from './errors.ts';
import type { State } from './state/state.ts';
import { inTransaction } from './state/state.ts';

/** `content`: as it was edited last. */
export type LetterToReplay = Omit<RefusedEvent, 'key'> & { readonly id: number; readonly edits: number };

export type WaitingLetter = { readonly id: number; readonly lane: string; readonly position: Position };

/** Letters that wait, in the order of the stream. */
export async function waitingLetters(state: State, { pipeline, lane, id }: { readonly pipeline: string; readonly lane?: string; readonly id?: number }): Promise<readonly WaitingLetter[]> {
  const { rows } = await classified('state database', () =>
    state.query<{ id: string; lane: string; position: Position }>(
      "select id, lane, position from sluice.dead_letter where pipeline = $1 and state = 'waiting' and lane = coalesce($2, lane) and id = coalesce($3, id) order by lane, position",
      [pipeline, lane ?? null, id ?? null],
    ),
  );
  return rows.map((row) => ({ ...row, id: Number(row.id) }));
}

/**
 * Holds a letter that waits, lets `replay` bring it to its destination, and settles it with whatever that did in the
 * transaction. While it is held nobody drops or edits it, and no truncate passes it. Returns 'settled' if it no longer
 * waits, or the refusal if its content was refused again: then it waits on.
 */
export async function withLetter(state: State, id: number, replay: (letter: LetterToReplay, client: PoolClient) => Promise<void>): Promise<'replayed' | 'settled' | PoisonError> {
  const result = await classified('state database', () =>
    inTransaction(state, async (client) => {
      // a receiver may take its time
      await client.query("set local idle_in_transaction_session_timeout = '2min'");
      const letter = await lock(client, id);
      if (!letter) return 'settled' as const;
      await replay(letter, client);
      await client.query("update sluice.dead_letter set state = 'replayed', settled_at = now() where id = $1", [id]);
      return 'replayed' as const;
    }),
  ).catch((error: unknown) => {
    if (error instanceof PoisonError) return error;
    throw error;
  });
  if (result instanceof PoisonError) await classified('state database', () => state.query("update sluice.dead_letter set reason = $2 where id = $1 and state = 'waiting'", [id, result.detail]));
  return result;
}

async function lock(client: PoolClient, id: number): Promise<LetterToReplay | undefined> {
  const { rows } = await client.query<{ position: Position; op: LetterOp; commit_us: string; content: LetterContent; edits: number }>(
    "select position, op, commit_us, coalesce(edited, content) as content, edits from sluice.dead_letter where id = $1 and state = 'waiting' for update",
    [id],
  );
  const row = rows[0];
  return row && { id, position: row.position, op: row.op, commitUs: Number(row.commit_us), content: row.content, edits: row.edits };
}
