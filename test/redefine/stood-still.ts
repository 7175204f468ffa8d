import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type ClickHouseClient } from '@clickhouse/client';
import { Client as Postgres } from 'pg';
import { captureStep } from '../../activities/capture.ts';
import { laneStep } from '../../activities/lane-step.ts';
import { load } from '../../activities/load.ts';
import { Reachability } from '../../activities/reachability.ts';
import { beginRedefinition, takeOver } from '../../activities/redefine.ts';
import { Runtime } from '../../activities/runtime.ts';
import type { StepInput, StepResult, TakeOver } from '../../activities/steps.ts';
import { detachLane } from '../../connectors/postgres/detached-lanes.ts';
import { readJoining } from '../../connectors/postgres/redefinitions.ts';
import { readShard } from '../../connectors/postgres/shard-state.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState, type State } from '../../connectors/postgres/state/state.ts';
import { parseConfig, toEnvironment, type Config } from '../../core/config.ts';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import { services, throwAwayClickhouse, throwAwayDatabase, throwAwayRedis } from '../embedded/services.ts';
import { inActivity } from '../orchestration/in-activity.ts';

const name = 'engagement';

/** The sample pipeline, loaded and without a workflow: its activities are called in the order that a test wants, by workers that share its stores. */
export class Stores implements AsyncDisposable {
  readonly source: Postgres;
  readonly state: State;
  readonly clickhouse: ClickHouseClient;
  readonly #config: Config;
  readonly #stack: AsyncDisposableStack;
  #end = new AbortController();
  #steps: Promise<StepResult>[] = [];

  static async open(): Promise<Stores> {
    const stack = new AsyncDisposableStack();
    const [sourceUrl, stateUrl] = [stack.use(await throwAwayDatabase()).url, stack.use(await throwAwayDatabase()).url];
    const [redisUrl, clickhouseUrl] = [stack.use(await throwAwayRedis()).url, stack.use(await throwAwayClickhouse()).url];
    const dataDir = await mkdtemp(join(tmpdir(), 'sluice-stood-still-'));
    stack.defer(() => rm(dataDir, { recursive: true, force: true }));
    const { temporalAddress, temporalNamespace } = services();
    const config = parseConfig(toEnvironment({ sourceUrl, stateUrl, redisUrl, clickhouseUrl, temporalAddress, temporalNamespace, dataDir, externalUrl: 'http://127.0.0.1:1/events', externalSecret: 'whsec_c2VjcmV0' }));
    const source = stack.adopt(new Postgres({ connectionString: sourceUrl }), (each) => each.end());
    await source.connect();
    await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    await source.query("insert into content (slug, title, content_type, length_seconds, publish_ts) values ('one', 'One', 'video', 60, now())");
    const state = stack.adopt(openState(stateUrl), (pool) => pool.end());
    await migrate(state);
    const clickhouse = stack.adopt(createClient({ url: clickhouseUrl }), (each) => each.close());
    return new Stores(config, source, state, clickhouse, stack);
  }

  private constructor(config: Config, source: Postgres, state: State, clickhouse: ClickHouseClient, stack: AsyncDisposableStack) {
    this.#config = config;
    this.source = source;
    this.state = state;
    this.clickhouse = clickhouse;
    this.#stack = stack;
  }

  /** `change`: what its pipelines/ has otherwise. */
  worker(change: (pipeline: Pipeline) => Pipeline = (pipeline) => pipeline): Worker {
    return new Worker(this.#stack.adopt(new Runtime(this.#config, toEnvironment(this.#config), new Reachability(async () => {})), (runtime) => runtime.close()), change, (work) => {
      const step = inActivity(work, { signal: this.#end.signal });
      this.#steps.push(step);
      return step;
    });
  }

  async write(count: number): Promise<void> {
    await this.source.query(`insert into engagement_events (content_id, event_type, event_ts, duration_ms, device) select (select id from content limit 1), 'play', now(), g, 'phone' from generate_series(1, $1::int) g`, [count]);
  }

  /** As a capture does for which it holds up the stream. */
  async detach(lane: string): Promise<void> {
    await detachLane(this.state, name, lane, undefined, { ...(await readShard(this.state, name))!, isJoining: (await readJoining(this.state, name)).has(lane) });
  }

  /** Every step ends that has begun. */
  async end(): Promise<void> {
    this.#end.abort();
    await Promise.allSettled(this.#steps);
    [this.#end, this.#steps] = [new AbortController(), []];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    await this.#stack.disposeAsync();
  }
}

export class Worker {
  readonly runtime: Runtime;
  readonly #step: (work: () => Promise<StepResult>) => Promise<StepResult>;

  constructor(runtime: Runtime, change: (pipeline: Pipeline) => Pipeline, step: (work: () => Promise<StepResult>) => Promise<StepResult>) {
    this.runtime = runtime;
    this.#step = step;
    const { sinks, ...pipeline } = runtime.declared(name);
    // nobody receives anything
    const declared = change({ ...pipeline, sinks: { ...sinks, external: { ...(sinks['external'] as Extract<SinkDefinition, { kind: 'http' }>), initialLoad: false } } });
    runtime.declared = () => declared;
  }

  async load(): Promise<void> {
    const { hash } = await this.runtime.definition(name);
    await inActivity(() => load(this.runtime, { pipeline: name, definitionHash: hash, heartbeatMs: 1_000 }));
  }

  async capture(): Promise<StepResult> {
    const input = await this.#input();
    return this.#step(() => captureStep(this.runtime, input));
  }

  async lane(lane: string): Promise<StepResult> {
    const input = await this.#input();
    return this.#step(() => laneStep(this.runtime, { ...input, lane }));
  }

  /** What it is to become is on record; its number. */
  async begin(): Promise<number> {
    return (await inActivity(() => beginRedefinition(this.runtime, { pipeline: name, keepResults: false })))!;
  }

  takeOver(number: number, what: TakeOver): Promise<unknown> {
    return inActivity(() => takeOver(this.runtime, { pipeline: name, number, what }));
  }

  async #input(): Promise<StepInput> {
    const { hash } = await this.runtime.definition(name);
    return { pipeline: name, definitionHash: hash, heartbeatMs: 1_000, durationMs: 60_000 };
  }
}
