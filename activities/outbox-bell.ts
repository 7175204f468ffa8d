import { Client } from 'pg';
import { outboxChannel } from '../connectors/postgres/state/state.ts';

const reconnectMs = 1_000;

/** Rings when a pipeline's outbox grows: one LISTEN for a whole worker. What it misses while it reconnects is polled. */
export class OutboxBell {
  readonly #url: string;
  readonly #waiting = new Map<string, Set<() => void>>();
  #client: Client | undefined;
  #closed = false;

  constructor(url: string) {
    this.#url = url;
    void this.#listen();
  }

  /** Resolves at the next ring for this pipeline, after `timeoutMs`, or when the signal aborts. */
  async wait(pipeline: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const waiting = this.#waiting.get(pipeline) ?? new Set();
    this.#waiting.set(pipeline, waiting.add(wake));
    const timer = setTimeout(wake, timeoutMs);
    signal.addEventListener('abort', wake, { once: true });
    await promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', wake);
    waiting.delete(wake);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#client?.end().catch(() => {});
  }

  async #listen(): Promise<void> {
    if (this.#closed) return;
    const client = new Client({ connectionString: this.#url, application_name: 'sluice outbox', keepAlive: true, connectionTimeoutMillis: 10_000 });
    const again = () => {
      if (this.#client !== client) return;
      this.#client = undefined;
      setTimeout(() => void this.#listen(), reconnectMs).unref();
    };
    this.#client = client;
    client.on('error', again);
    client.on('end', again);
    client.on('notification', ({ payload }) => this.#ring(payload));
    try {
      await client.connect();
      await client.query(`listen ${outboxChannel}`);
    } catch {
      again();
      await client.end().catch(() => {});
    }
  }

  #ring(pipeline: string | undefined): void {
    const waiting = pipeline ? [this.#waiting.get(pipeline)] : this.#waiting.values();
    for (const wakes of waiting) for (const wake of wakes ?? []) wake();
  }
}
