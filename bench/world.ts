import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { ensurePipelines, pausePipeline, pipelines, pipelineStatuses, resumePipeline } from '../client/pipelines.ts';
import { sourceNames } from '../connectors/postgres/source-catalog.ts';
import type { Config, Environment } from '../core/config.ts';
import { startMs, waitUntil } from '../infra/supervisor/wait.ts';
import { Fences } from './fences.ts';
import { type BenchInstance, type InstanceOptions, startProduct } from './instance.ts';
import { EngagementWorkload } from './load/engagement.ts';
import { writerName } from './meter.ts';
import { slotFollowed } from './slots.ts';
import './pipelines/index.ts';

export type WorldOptions = {
  /** The worker knows the pipelines of bench/pipelines too. */
  readonly own?: boolean;
  /** Makes tables, before any pipeline is started. */
  readonly sql?: string;
  /** Settings that differ from the defaults. */
  readonly environment?: Environment;
};

/** Everything that `./sluice up` starts, fresh, without load, and with those pipelines that are started in it. */
export class World {
  readonly instance: BenchInstance;
  /** As superuser, in the source. */
  readonly client: Client;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  readonly #fences = new Map<string, Fences>();

  static async open({ own = false, sql, environment = {} }: WorldOptions, options: InstanceOptions): Promise<World> {
    const instance = await startProduct({ ...options, environment }, own ? ['bench/pipelines/index.ts'] : []);
    const world = new World(instance, options);
    try {
      await world.client.connect();
      if (sql !== undefined) await world.client.query(sql);
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  private constructor(instance: BenchInstance, { signal, report }: InstanceOptions) {
    this.instance = instance;
    this.signal = signal;
    this.say = report;
    this.client = new Client({ connectionString: instance.config.sourceUrl, application_name: writerName });
    this.client.on('error', () => {}); // the next query says it
  }

  get config(): Config {
    return this.instance.config;
  }

  get workerPid(): number {
    const pid = this.instance.pidOf('worker');
    if (pid === undefined) throw new Error('The worker does not run just now.');
    return pid;
  }

  /** Starts pipelines, the first load of what their tables hold included, and waits until they run. */
  start(...names: readonly string[]): Promise<void> {
    return this.startWithin(startMs, ...names);
  }

  /** Where there is much to load. */
  async startWithin(timeoutMs: number, ...names: readonly string[]): Promise<void> {
    await ensurePipelines(this.config, names);
    const running = async () => {
      const other = (await pipelineStatuses(this.config, names)).find(({ state }) => state !== 'running');
      if (other) throw new Error(`${other.name} is ${other.state}${other.reason ? `: ${other.reason}` : ''}`);
    };
    const logFile = join(this.config.dataDir, 'logs', 'worker.log');
    await waitUntil(running, { what: names.join(', '), timeoutMs, everyMs: 200, report: this.say, signal: this.signal, logFile });
  }

  /** Their slots have followed: they begin where the next changes do, and not in what was measured before. */
  async pause(names: readonly string[]): Promise<void> {
    for (const name of names) await slotFollowed(this.client, sourceNames(name).slot, this.signal);
    await Promise.all(names.map((name) => pausePipeline(this.config, name)));
  }

  async resume(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => resumePipeline(this.config, name)));
  }

  fences(name: string): Fences {
    let fences = this.#fences.get(name);
    if (!fences) this.#fences.set(name, (fences = Fences.open(this.config, pipelines[name]!)));
    return fences;
  }

  /** Events as users of the sample would write them: the same in each world. */
  async workload(): Promise<EngagementWorkload> {
    const workload = new EngagementWorkload(1);
    await workload.prepare(this.client);
    return workload;
  }

  /** Size of all spools. Nothing is trimmed within the hour. */
  spoolBytes(): number {
    const files = readdirSync(join(this.config.dataDir, 'spool'), { recursive: true, withFileTypes: true });
    return files.reduce((sum, file) => sum + (file.isFile() ? (statSync(join(file.parentPath, file.name), { throwIfNoEntry: false })?.size ?? 0) : 0), 0);
  }

  /** Stops everything and removes its data. */
  async close(): Promise<void> {
    await Promise.allSettled([this.client.end(), ...[...this.#fences.values()].map((fences) => fences.close())]);
    await this.instance.stop();
  }
}
