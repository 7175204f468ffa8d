import { Client } from 'pg';
import type { QueryResult, QueryResultRow } from 'pg';
import { keptAlive } from '../keep-alive.ts';
import { leave } from '../leave.ts';

const reconnectMs = 1_000;
/** A connection that says nothing for so long when it is asked is given up: nobody would tell that it is dead. */
const answerMs = 5_000;
/** So long a dead one may go unnoticed, and what rings through it is late. */
const askMs = 10_000;

/** By channel; with the payload, or without one when some may have been missed. */
export type Rings = Readonly<Record<string, (payload: string | undefined) => void>>;

/**
 * The one connection of a process that listens to the state database. It comes again by itself; what was said meanwhile is
 * lost, so every channel rings each time that it has come, and nothing may depend on a ring.
 */
export class Listener {
  readonly #url: string;
  readonly #rings: Rings;
  #client: Client | undefined;
  #listens = false;
  readonly #asking: NodeJS.Timeout;
  #closed = false;

  constructor(url: string, rings: Rings, everyMs = askMs) {
    this.#url = url;
    this.#rings = rings;
    this.#asking = setInterval(() => void this.query('select 1', []).catch(() => {}), everyMs);
    this.#asking.unref();
    void this.#listen();
  }

  /** Asks on this very connection, so that whoever gets an answer also hears what is said after it. Throws while there is none. */
  async query<R extends QueryResultRow>(text: string, values: unknown[]): Promise<QueryResult<R>> {
    const client = this.#client;
    if (!client || !this.#listens) throw new Error('there is no connection to the state database');
    try {
      return await client.query<R>(text, values);
    } catch (error) {
      this.#again(client);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#asking);
    if (this.#client) await leave(this.#client);
  }

  async #listen(): Promise<void> {
    if (this.#closed) return;
    const client = new Client({ connectionString: this.#url, application_name: 'sluice listener', ...keptAlive, connectionTimeoutMillis: 10_000, query_timeout: answerMs });
    this.#client = client;
    client.on('error', () => this.#again(client));
    client.on('end', () => this.#again(client));
    client.on('notification', ({ channel, payload }) => this.#rings[channel]?.(payload));
    try {
      await client.connect();
      for (const channel of Object.keys(this.#rings)) await client.query(`listen ${channel}`);
      if (this.#client !== client) return;
      this.#listens = true;
      for (const ring of Object.values(this.#rings)) ring(undefined);
    } catch {
      this.#again(client);
    }
  }

  #again(client: Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#listens = false;
    // a query that never came back does not wait for an end that will not either
    void leave(client);
    setTimeout(() => void this.#listen(), reconnectMs).unref();
  }
}
