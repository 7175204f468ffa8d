import { DatabaseSync } from 'node:sqlite';
import type { Event } from './message.ts';
import { eventsIn, eventsOf, unpack } from './message.ts';

export type Counts = { readonly messages: number; readonly events: number; readonly duplicates: number };
export type FoldedRow = { readonly key: string; readonly position: string; readonly row: string };

/**
 * Every accepted message, as it came: who sends waits for nothing else. How many events they have, and what these add up to
 * by key, is worked out when somebody asks.
 */
export class ReceiverStore {
  readonly #database: DatabaseSync;
  readonly #insert;

  constructor(file: string) {
    this.#database = new DatabaseSync(file);
    this.#database.exec(schema);
    const columns = this.#database.prepare('pragma table_info(message)').all();
    if (columns.some(({ name }) => name === 'events')) this.#database.exec(fromCountedMessages);
    this.#insert = this.#database.prepare('insert into message (id, body) values (?, ?) on conflict (id) do nothing');
  }

  /** False: a message with this id was accepted before. */
  accept(id: string, body: Buffer): boolean {
    const { changes } = this.#insert.run(id, body);
    if (changes === 0) this.#database.exec('update tally set duplicates = duplicates + 1');
    return changes !== 0;
  }

  counts(): Counts {
    const add = this.#database.prepare('update tally set events = events + ?');
    this.#forNewMessages('counted_up_to', (body) => void add.run(eventsIn(unpack(body))));
    const { messages, events, duplicates } = this.#database.prepare('select (select count(*) from message) as messages, events, duplicates from tally').get()!;
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
    const fold = this.#database.prepare(
      'insert into folded (key, position, row) values (?, ?, ?) on conflict (key) do update set position = excluded.position, row = excluded.row where excluded.position > folded.position',
    );
    const truncate = this.#database.prepare('update truncated set position = max(position, ?)');
    this.#forNewMessages('folded_up_to', (body) => {
      const events: Event[] = [...eventsOf(unpack(body))];
      for (const { position, op, key, row } of events) {
        if (op === 'truncate') truncate.run(position);
        else fold.run(key, position, row);
      }
    });
  }

  /** What was signed and is no list of events, whoever sent it, must not keep all else from being read. */
  #forNewMessages(upTo: 'counted_up_to' | 'folded_up_to', use: (body: Uint8Array) => void): void {
    const database = this.#database;
    database.exec('begin immediate');
    try {
      for (const { id, body } of database.prepare(`select id, body from message where seq > (select ${upTo} from tally) order by seq`).iterate()) {
        try {
          use(body as Uint8Array);
        } catch (error) {
          console.error(`message ${String(id)} cannot be read and is left out: ${String(error)}`);
        }
      }
      database.exec(`update tally set ${upTo} = coalesce((select max(seq) from message), 0)`);
      database.exec('commit');
    } catch (error) {
      database.exec('rollback');
      throw error;
    }
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
  create table if not exists message (seq integer primary key, id text not null unique, received_at text not null default (datetime('now')), body blob not null);
  create table if not exists tally (duplicates integer not null, events integer not null, counted_up_to integer not null, folded_up_to integer not null);
  insert into tally select 0, 0, 0, 0 where not exists (select kept.events from tally as kept);
  create table if not exists folded (key text primary key, position text not null, row text) without rowid;
  create table if not exists truncated (position text not null);
  insert into truncated select '' where not exists (select kept.position from truncated as kept);
`;

/** Of a file from when messages were counted as they came. */
const fromCountedMessages = `
  begin;
  update tally set duplicates = counter.duplicates, folded_up_to = counter.folded_up_to,
    events = (select coalesce(sum(message.events), 0) from message), counted_up_to = (select coalesce(max(seq), 0) from message) from counter;
  alter table message drop column events;
  drop table counter;
  commit;
`;
