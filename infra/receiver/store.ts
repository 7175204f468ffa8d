import { DatabaseSync } from 'node:sqlite';
import type { Event } from './message.ts';
import { eventsOf, unpack } from './message.ts';

export type Counts = { readonly messages: number; readonly events: number; readonly duplicates: number };
export type FoldedRow = { readonly key: string; readonly position: string; readonly row: string };

/** Every accepted message, as it came. What the events add up to by key is worked out when somebody asks. */
export class ReceiverStore {
  readonly #database: DatabaseSync;
  readonly #insert;

  constructor(file: string) {
    this.#database = new DatabaseSync(file);
    this.#database.exec(schema);
    this.#insert = this.#database.prepare('insert into message (id, events, body) values (?, ?, ?) on conflict (id) do nothing');
  }

  /** False: a message with this id was accepted before. */
  accept(id: string, body: Buffer, events: number): boolean {
    const { changes } = this.#insert.run(id, events, body);
    if (changes === 0) this.#database.exec('update counter set duplicates = duplicates + 1');
    return changes !== 0;
  }

  counts(): Counts {
    const { messages, events, duplicates } = this.#database.prepare('select count(*) as messages, coalesce(sum(events), 0) as events, (select duplicates from counter) as duplicates from message').get()!;
    return { messages: Number(messages), events: Number(events), duplicates: Number(duplicates) };
  }

  /** The rows that are there, by the text of their key: of each key its greatest position, unless that took it away. */
  *folded(since: string): Generator<FoldedRow> {
    this.#foldNewMessages();
    const rows = this.#database
      .prepare(`select key, position, row from folded where row is not null and position > ? and position >= (select position from truncated) order by key`)
      .iterate(since);
    for (const { key, position, row } of rows) yield { key: String(key), position: String(position), row: String(row) };
  }

  close(): void {
    this.#database.close();
  }

  /** Positions are texts that sort as the stream does, so messages may arrive and be folded in any order. */
  #foldNewMessages(): void {
    const database = this.#database;
    database.exec('begin immediate');
    try {
      const news = database.prepare('select id, body from message where seq > (select folded_up_to from counter) order by seq');
      const fold = database.prepare(
        'insert into folded (key, position, row) values (?, ?, ?) on conflict (key) do update set position = excluded.position, row = excluded.row where excluded.position > folded.position',
      );
      const truncate = database.prepare('update truncated set position = max(position, ?)');
      for (const { id, body } of news.iterate()) {
        for (const { position, op, key, row } of readable(String(id), body as Uint8Array)) {
          if (op === 'truncate') truncate.run(position);
          else fold.run(key, position, row);
        }
      }
      database.exec('update counter set folded_up_to = coalesce((select max(seq) from message), 0)');
      database.exec('commit');
    } catch (error) {
      database.exec('rollback');
      throw error;
    }
  }
}

/** What was signed and is no list of events, whoever sent it, must not keep all else from being folded. */
function readable(id: string, body: Uint8Array): Event[] {
  try {
    return [...eventsOf(unpack(body))];
  } catch (error) {
    console.error(`message ${id} cannot be read and is left out: ${String(error)}`);
    return [];
  }
}

/**
 * Bodies may have megabytes: in large pages they cost less than half. With a rollback journal new pages are written once, to
 * their place, where a write-ahead log sums them up, writes them, and copies them later; each message is on disk before
 * it is answered, and nobody reads while it is written.
 */
const schema = `
  pragma page_size = 65536;
  pragma journal_mode = persist;
  pragma synchronous = normal;
  create table if not exists message (seq integer primary key, id text not null unique, received_at text not null default (datetime('now')), events integer not null, body blob not null);
  create table if not exists counter (duplicates integer not null, folded_up_to integer not null);
  insert into counter select 0, 0 where not exists (select from_counter.duplicates from counter as from_counter);
  create table if not exists folded (key text primary key, position text not null, row text) without rowid;
  create table if not exists truncated (position text not null);
  insert into truncated select '' where not exists (select kept.position from truncated as kept);
`;
