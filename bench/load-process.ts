import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Client } from 'pg';
import { type Config, toEnvironment } from '../core/config.ts';
import { checkout } from '../infra/supervisor/checkout.ts';

/** The load generator on engagement as a process of its own, so that what measures has its own processor. */
export class LoadProcess {
  readonly pid: number;
  readonly #child: ReturnType<typeof spawnLoad>;
  readonly #ended: Promise<void>;
  #said = '';

  /** Resolves once it writes. `rate`: events per second that it tries to keep. */
  static async start(config: Config, client: Client, rate: number, signal: AbortSignal): Promise<LoadProcess> {
    const before = await eventsWritten(client);
    const load = new LoadProcess(config, rate);
    try {
      while ((await load.during(eventsWritten(client))) === before) signal.throwIfAborted();
      return load;
    } catch (error) {
      await load.stop();
      throw error;
    }
  }

  private constructor(config: Config, rate: number) {
    this.#child = spawnLoad(config, rate);
    this.pid = this.#child.pid!;
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', (chunk: Buffer) => (this.#said = (this.#said + chunk.toString()).slice(-2_000)));
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
  }

  /** Throws when the load ends before the work. */
  async during<T>(work: Promise<T>): Promise<T> {
    const failed = async (): Promise<never> => {
      await this.#ended;
      throw new Error(`The load generator ended: ${this.#said.trim()}`);
    };
    return Promise.race([work, failed()]);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#ended;
  }
}

/** Events of engagement that were ever inserted: with inserts only, numbers are not left out. */
export async function eventsWritten(client: Client): Promise<number> {
  const { rows } = await client.query<{ last: string }>('select case when is_called then last_value else 0 end::text as last from public.engagement_events_id_seq');
  return Number(rows[0]!.last);
}

function spawnLoad(config: Config, rate: number) {
  const args = ['--disable-warning=ExperimentalWarning', join(checkout, 'bench/load/main.ts'), '--pipeline', 'engagement', '--rate', String(rate)];
  return spawn(process.execPath, args, { env: { ...process.env, ...toEnvironment(config) }, stdio: ['ignore', 'pipe', 'pipe'] });
}
