import { Client } from 'pg';
import type { Config } from '../core/config.ts';
import type { LetterContent, LetterOp, LetterState } from '../core/dead-letters/dead-letter.ts';
import { editContent } from '../core/dead-letters/edit-content.ts';
import type { Position } from '../core/position.ts';
import type { TextRow } from '../core/segment-builder.ts';
import { pipelines } from '../pipelines/index.ts';

export type Letter = {
  readonly id: number;
  readonly pipeline: string;
  readonly lane: string;
  readonly position: Position;
  readonly op: LetterOp;
  readonly key: string | null;
  readonly reason: string;
  readonly state: LetterState;
  /** ISO times. */
  readonly committedAt: string;
  readonly foundAt: string;
  readonly settledAt: string | null;
  readonly edits: number;
};
export type LetterWithContent = Letter & { readonly content: LetterContent; readonly edited: LetterContent | null };

/** Which letters of a pipeline: all, a lane's, or one. */
export type LetterChoice = { readonly pipeline?: string | undefined; readonly lane?: string | undefined; readonly id?: number | undefined };

/** There is no such letter, or it no longer waits; the message says which. */
export class NoSuchLetter extends Error {
  override readonly name = 'NoSuchLetter';
}
export class LetterSettled extends Error {
  override readonly name = 'LetterSettled';
  constructor(id: number, state: LetterState) {
    super(`Dead letter ${id} was ${state} already, and only one that waits can be edited, replayed or dropped.`);
  }
}

/** In the order of the stream, lane by lane; at most `limit`. */
export function listLetters(config: Config, { pipeline, lane, states, limit = 1_000 }: LetterChoice & { readonly states: readonly LetterState[]; readonly limit?: number }): Promise<readonly Letter[]> {
  return withState(config, async (client) => {
    const { rows } = await client.query<LetterRow>(
      `select ${columns} from sluice.dead_letter where pipeline = coalesce($1, pipeline) and lane = coalesce($2, lane) and state = any($3) order by pipeline, lane, position limit $4`,
      [pipeline ?? null, lane ?? null, states, limit],
    );
    return rows.map(letterOf);
  });
}

/** Throws NoSuchLetter. */
export function readLetter(config: Config, id: number): Promise<LetterWithContent> {
  return withState(config, (client) => read(client, id));
}

/**
 * Changes values of the row that a replay will send. Throws NoSuchLetter, LetterSettled, or InvalidContent for a value that
 * its column cannot hold.
 */
export function editLetter(config: Config, id: number, changes: TextRow): Promise<LetterWithContent> {
  return withState(config, async (client) => {
    await client.query('begin');
    const letter = await read(client, id, 'for update');
    if (letter.state !== 'waiting') throw new LetterSettled(id, letter.state);
    const pipeline = pipelines[letter.pipeline];
    if (!pipeline) throw new NoSuchLetter(`Dead letter ${id} is one of ${letter.pipeline}, and there is no pipeline of that name any more.`);
    const edited = editContent(pipeline, letter.lane, { op: letter.op, content: letter.edited ?? letter.content }, changes);
    await client.query('update sluice.dead_letter set edited = $2, edits = edits + 1 where id = $1', [id, JSON.stringify(edited)]);
    const now = await read(client, id);
    await client.query('commit');
    return now;
  });
}

/** Returns how many letters waited until now. Throws NoSuchLetter or LetterSettled if one was chosen that does not wait. */
export function dropLetters(config: Config, { pipeline, lane, id }: LetterChoice): Promise<number> {
  return withState(config, async (client) => {
    const { rowCount } = await client.query(
      `update sluice.dead_letter set state = 'dropped', settled_at = now()
        where state = 'waiting' and pipeline = coalesce($1, pipeline) and lane = coalesce($2, lane) and id = coalesce($3, id)`,
      [pipeline ?? null, lane ?? null, id ?? null],
    );
    if (rowCount === 0 && id !== undefined) throw new LetterSettled(id, (await read(client, id)).state);
    return rowCount ?? 0;
  });
}

const columns = `id, pipeline, lane, position, op, key, reason, state, edits, commit_us, to_json(found_at at time zone 'utc') #>> '{}' as found_at, to_json(settled_at at time zone 'utc') #>> '{}' as settled_at`;

type LetterRow = {
  readonly id: string;
  readonly pipeline: string;
  readonly lane: string;
  readonly position: Position;
  readonly op: LetterOp;
  readonly key: string | null;
  readonly reason: string;
  readonly state: LetterState;
  readonly edits: number;
  readonly commit_us: string;
  readonly found_at: string;
  readonly settled_at: string | null;
};

function letterOf({ id, commit_us, found_at, settled_at, ...row }: LetterRow): Letter {
  const { pipeline, lane, position, op, key, reason, state, edits } = row;
  return { id: Number(id), pipeline, lane, position, op, key, reason, state, committedAt: new Date(Number(commit_us) / 1000).toISOString(), foundAt: utc(found_at), settledAt: settled_at && utc(settled_at), edits };
}

function utc(time: string): string {
  return new Date(`${time}Z`).toISOString();
}

async function read(client: Client, id: number, lock: 'for update' | '' = ''): Promise<LetterWithContent> {
  const { rows } = await client.query<LetterRow & { content: LetterContent; edited: LetterContent | null }>(`select ${columns}, content, edited from sluice.dead_letter where id = $1 ${lock}`, [id]);
  const row = rows[0];
  if (!row) throw new NoSuchLetter(`There is no dead letter ${id}. One ends when its table is truncated, or its pipeline loaded anew: then nothing is missing any more. See ./sluice dlq list.`);
  return { ...letterOf(row), content: row.content, edited: row.edited };
}

async function withState<T>({ stateUrl }: Config, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: stateUrl, application_name: 'sluice dlq', connectionTimeoutMillis: 3_000, query_timeout: 30_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    // an open transaction ends with its connection
    await client.end();
  }
}
