import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { inject } from 'vitest';
import { decideMigration, listMigrations, type ListedMigration } from '../../client/migrations.ts';
import { pipelineStatuses } from '../../client/pipelines.ts';
import { verifyPipeline } from '../../client/verify.ts';
import type { Config } from '../../core/config.ts';
import type { Decision } from '../../core/migration/plan.ts';
import { verificationText } from '../../core/verification.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { configOf, readInstance } from '../../infra/supervisor/instance.ts';
import { until } from '../capture/captured-source.ts';

/** As long as a migration may take to get somewhere. */
const migratingMs = 40_000;

/** The product as its users run it, with every kind of sink, on a source of theirs. */
export class Product implements AsyncDisposable {
  readonly #portBase = inject('portBase') + 50;
  readonly dataDir = join(checkout, '.sluice', 'test', String(this.#portBase));
  readonly source: Client;
  readonly #sourceUrl: string;
  /** The only row of the dimension. */
  content = '';

  static async up(sourceUrl: string): Promise<Product> {
    const product = new Product(sourceUrl);
    try {
      await product.#up();
      return product;
    } catch (error) {
      await product[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(sourceUrl: string) {
    this.#sourceUrl = sourceUrl;
    this.source = new Client({ connectionString: sourceUrl });
  }

  async #up(): Promise<void> {
    await rm(this.dataDir, { recursive: true, force: true });
    await this.source.connect();
    await this.source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    const { rows } = await this.source.query<{ id: string }>("insert into content (id, slug, title, content_type, publish_ts) values (gen_random_uuid(), 'first', 'First', 'video', now()) returning id::text");
    this.content = rows[0]!.id;
    const { code, output } = await this.sluice('up', '--detach', '--port-base', String(this.#portBase), '--rate', '0');
    if (code !== 0) throw new Error(output);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sluice('down');
    await this.source.end();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  get config(): Config {
    return configOf(this.dataDir);
  }

  sluice(...args: string[]): Promise<{ code: number; output: string }> {
    return new Promise((resolve) => {
      execFile(join(checkout, 'sluice'), [...args, '--data', this.dataDir], { env: { ...process.env, SLUICE_SOURCE_URL: this.#sourceUrl }, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, output: error ? stdout + stderr : stdout });
      });
    });
  }

  killWorker(): void {
    process.kill(readInstance(this.dataDir)!.processes.find(({ name }) => name === 'worker')!.pid, 'SIGKILL');
  }

  async nextNumber(): Promise<number> {
    return ((await this.#newest())?.number ?? 0) + 1;
  }

  /** The newest change, once it is in this state. */
  async newest(number: number, state: ListedMigration['state']): Promise<ListedMigration> {
    let found: ListedMigration | undefined;
    const isThere = async () => {
      found = await this.#newest();
      return found?.number === number && found.state === state;
    };
    await until(isThere, `migration ${number} is ${state}`, migratingMs);
    return found!;
  }

  /** Another one may be met behind it. */
  async decide(number: number, decision: Decision): Promise<void> {
    await decideMigration(this.config, 'engagement', decision, number);
    await until(async () => (await listMigrations(this.config, 'engagement')).some((each) => each.number === number && each.state === 'done'), `migration ${number} is done`, migratingMs);
  }

  async expectVerified(): Promise<void> {
    // a migration is on record as done before its pipeline goes on
    await until(async () => (await pipelineStatuses(this.config, ['engagement'])).every(({ state, capture }) => state === 'running' && capture?.state === 'running'), 'the pipeline runs', migratingMs);
    const verification = await verifyPipeline(this.config, 'engagement');
    if (!verification.equal) throw new Error(`${verificationText(verification)}\n${(await this.sluice('status')).output}\n${(await this.sluice('migrations', 'engagement')).output}`);
  }

  async #newest(): Promise<ListedMigration | undefined> {
    return (await listMigrations(this.config, 'engagement'))[0];
  }
}
