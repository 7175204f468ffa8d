import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { inject } from 'vitest';
import { postgres, superuser } from '../../infra/embedded/postgres.ts';
import { portsFrom } from '../../infra/supervisor/ports.ts';
import { startOwn } from '../embedded/own-service.ts';

/** A PostgreSQL of a test's own, for what the shared one must not suffer: stops, promotions, small limits. */
export class OwnServer implements AsyncDisposable {
  readonly url: string;
  readonly #ports: ReturnType<typeof portsFrom>;
  readonly #dataDir: string;
  #process: ChildProcess | undefined;
  /** Its data directory, once it was started. */
  data = '';

  /** `portOffset`: from the ports of this test run; two servers at once need different ones. */
  static async make(portOffset: number): Promise<OwnServer> {
    const dataDir = await mkdtemp(join(tmpdir(), 'sluice-own-server-'));
    await chmod(dataDir, 0o755);
    return new OwnServer(dataDir, portOffset);
  }

  private constructor(dataDir: string, portOffset: number) {
    this.#dataDir = dataDir;
    this.#ports = portsFrom(inject('portBase') + portOffset);
    this.url = `postgres://${superuser}:secret@127.0.0.1:${this.#ports.postgres}/postgres`;
  }

  async start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const place = { dataDir: this.#dataDir, ports: this.#ports, secrets: { postgresPassword: 'secret', externalSecret: '' } };
    const { child, args } = await startOwn(postgres, place, this.url, Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]));
    this.#process = child;
    this.data = args[args.indexOf('-D') + 1]!;
  }

  /** Fast: sessions are ended, walsenders may send what is left. Returns how long it took in milliseconds. */
  async stop(): Promise<number> {
    const startedAt = performance.now();
    if (this.#process?.exitCode === null) {
      this.#process.kill('SIGINT');
      await once(this.#process, 'exit');
    }
    return performance.now() - startedAt;
  }

  async query<T extends object>(sql: string): Promise<T> {
    const client = new Client({ connectionString: this.url });
    await client.connect();
    const { rows } = await client.query<T>(sql).finally(() => client.end());
    return rows[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#dataDir, { recursive: true, force: true });
  }
}
