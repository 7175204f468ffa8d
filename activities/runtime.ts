import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigurationError } from '../connectors/sink.ts';
import { type Appender, type SegmentLog } from '../connectors/spool/segment-log.ts';
import { openSegmentLog } from '../connectors/spool/open-segment-log.ts';
import { Listener } from '../connectors/postgres/state/listener.ts';
import { openState, outboxChannel, type State } from '../connectors/postgres/state/state.ts';
import { Standing } from '../connectors/postgres/standing.ts';
import { readShapes } from '../connectors/postgres/schema-changes.ts';
import { readLoaded } from '../connectors/postgres/shard-state.ts';
import { readStopped, stoppedChannel } from '../connectors/postgres/stopped-steps.ts';
import type { UndecidedLog } from '../connectors/postgres/undecided-log.ts';
import { systemClock } from '../connectors/system-clock.ts';
import type { Config, Environment } from '../core/config.ts';
import { definitionHash, recordedPipeline } from '../core/define/definition-hash.ts';
import { resolve } from '../core/define/resolve.ts';
import { loadAnew } from '../core/load-anew.ts';
import { reshaped, type Shape } from '../core/migration/shape.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { pipelines } from '../pipelines/index.ts';
import { Destinations } from './destinations.ts';
import { OutboxBell } from './outbox-bell.ts';
import { Progress } from './progress.ts';
import type { Reachability } from './reachability.ts';
import { Seats } from './seats.ts';
import { StepStops } from './step-stops.ts';

/**
 * `pipeline`: as its source has it now, which is the definition with what migrations have made of its columns. `hash`: with
 * their number and that of its last redefinition, as what was changed back is read like before, and its segments and panes are others all the same.
 */
export type Definition = { readonly pipeline: Pipeline; readonly hash: string; readonly shape: { readonly number: number; readonly columns: Shape } };

/** `key`: another one for each that is not what pipelines/ has. */
type Base = { readonly pipeline: Pipeline; readonly key: string; readonly redefinition: number };

/** What the activities of one worker process share. */
export class Runtime {
  readonly config: Config;
  readonly state: State;
  readonly progress: Progress;
  readonly bell = new OutboxBell();
  readonly stops: StepStops;
  readonly seats = new Seats();
  readonly destinations: Destinations;
  readonly reachability: Reachability;
  readonly #listener: Listener;
  readonly #environment: Environment;
  readonly #declared = new Map<string, Pipeline>();
  /** By name, what is on record, and the number of migrations. */
  readonly #definitions = new Map<string, Definition>();
  readonly #logs = new Map<string, Promise<SegmentLog & Appender>>();
  readonly #undecided = new Map<string, Promise<UndecidedLog>>();
  readonly #standing = new Map<string, Standing>();

  constructor(config: Config, environment: Environment, reachability: Reachability) {
    this.config = config;
    this.#environment = environment;
    this.reachability = reachability;
    this.state = openState(config.stateUrl);
    this.progress = new Progress(this.state);
    this.#listener = new Listener(config.stateUrl, { [outboxChannel]: (pipeline) => this.bell.ring(pipeline), [stoppedChannel]: () => void this.stops.ring() });
    this.stops = new StepStops((runs) => readStopped(this.#listener, runs));
    this.destinations = new Destinations(config, this.state);
  }

  /** As pipelines/ has it. Throws ConfigurationError, or MissingVariable when the environment lacks an address. */
  declared(name: string): Pipeline {
    let pipeline = this.#declared.get(name);
    if (pipeline) return pipeline;
    const found = Object.hasOwn(pipelines, name) ? pipelines[name] : undefined;
    if (!found) {
      const known = Object.keys(pipelines).join(', ') || 'none';
      throw new ConfigurationError(`There is no pipeline ${name} in pipelines/index.ts of this worker; it has ${known}. Add it there and restart the worker (./sluice down, ./sluice up), then ./sluice resume ${name}.`);
    }
    pipeline = resolve(found, this.#environment);
    this.#declared.set(name, pipeline);
    return pipeline;
  }

  /**
   * What runs, or what is to be loaded; or the one with this hash: what began before a migration ends as it began. What pipelines/ has otherwise than what
   * runs counts once it is applied. Only one that this process has not met is asked of the state database. Throws as `declared`, and
   * ConfigurationError when there is none of this hash.
   */
  async definition(name: string, hash?: string): Promise<Definition> {
    this.declared(name);
    const met = [...this.#definitions.values()].find((each) => each.hash === hash && each.pipeline.name === name);
    if (met) return met;
    const shapes = await this.#shapes(name);
    const found = hash === undefined ? shapes.at(-1) : shapes.findLast((each) => each.hash === hash);
    if (found) return found;
    throw new ConfigurationError(
      `The definition of ${name} has changed since the pipeline was loaded: its source, row, views or sinks are others. Put pipelines/${name}.ts back, restart the worker and type ./sluice resume ${name}; or keep it. ${loadAnew(name)}`,
    );
  }

  /** What migration `number` begins with, also when it is done. */
  async definitionBefore(name: string, number: number): Promise<Definition> {
    return (await this.#shapes(name)).findLast(({ shape }) => shape.number < number)!;
  }

  /** What runs, without what migrations have made of its columns. */
  async unshaped(name: string): Promise<Pipeline> {
    return (await this.#base(name, await this.#columns(name))).pipeline;
  }

  /** As pipelines/ has it, with what migrations have made of its columns: what an apply is to make of what runs. */
  async applied(name: string): Promise<Pipeline> {
    return reshaped(this.declared(name), (await this.#columns(name)).at(-1)!.shape);
  }

  async #shapes(name: string): Promise<readonly Definition[]> {
    const columns = await this.#columns(name);
    const base = await this.#base(name, columns);
    return columns.map((each) => this.#shaped(base, each.number, each.shape));
  }

  async #columns(name: string): Promise<readonly { readonly number: number; readonly shape: Shape }[]> {
    return [{ number: 0, shape: {} }, ...(await readShapes(this.state, name))];
  }

  /** As it is on record, as long as pipelines/ has another one. What is not loaded is what pipelines/ has. */
  async #base(name: string, columns: readonly { readonly shape: Shape }[]): Promise<Base> {
    const declared = this.declared(name);
    const record = (await readLoaded(this.state)).get(name);
    if (!record?.isStreaming || !record.definition) return { pipeline: declared, key: '', redefinition: 0 };
    const isDeclared = definitionHash(reshaped(declared, columns.at(-1)!.shape)) === record.hash;
    if (isDeclared && record.definition.paneSets === undefined) return { pipeline: declared, key: '', redefinition: record.redefinition };
    const recorded = recordedPipeline(record.definition, declared);
    const { paneSets } = recorded;
    return { pipeline: isDeclared && paneSets ? { ...declared, paneSets } : recorded, key: `${record.hash}${isDeclared ? ' declared' : ''}`, redefinition: record.redefinition };
  }

  #shaped({ pipeline: base, key: which, redefinition }: Base, number: number, columns: Shape): Definition {
    const key = `${base.name} ${JSON.stringify([which, redefinition, number, columns])}`;
    let definition = this.#definitions.get(key);
    if (!definition) {
      const pipeline = reshaped(base, columns);
      const hash = [definitionHash(pipeline), ...(number === 0 ? [] : [number]), ...(redefinition === 0 ? [] : [`r${redefinition}`])].join(' ');
      this.#definitions.set(key, (definition = { pipeline, hash, shape: { number, columns } }));
    }
    return definition;
  }

  /** One for each pipeline in this process: what the capture appends, lanes get from memory. */
  log(pipeline: string): Promise<SegmentLog & Appender> {
    let log = this.#logs.get(pipeline);
    if (!log) {
      log = openSegmentLog({ directory: join(this.config.dataDir, 'spool'), shard: pipeline });
      this.#logs.set(pipeline, log);
      log.catch(() => this.#logs.delete(pipeline));
    }
    return log;
  }

  /** What was kept of a pipeline's stream while nobody had decided how to read it; undefined: nothing ever was. Beside the spool, and lost with it. */
  async undecided(pipeline: string): Promise<UndecidedLog | undefined> {
    const isThere = this.#undecided.has(pipeline) || (await stat(join(this.#spool(pipeline), undecidedName)).then(() => true, () => false));
    return isThere ? this.keepUndecided(pipeline) : undefined;
  }

  /** The same, to add to it. */
  keepUndecided(pipeline: string): Promise<UndecidedLog> {
    let log = this.#undecided.get(pipeline);
    if (!log) {
      log = openSegmentLog({ directory: this.#spool(pipeline), shard: undecidedName, cacheBytes: 0 });
      this.#undecided.set(pipeline, log);
      log.catch(() => this.#undecided.delete(pipeline));
    }
    return log;
  }

  #spool(pipeline: string): string {
    return join(this.config.dataDir, 'spool', pipeline);
  }

  /** What stands of a pipeline's capture between two of its steps. */
  standing(pipeline: string): Standing {
    let standing = this.#standing.get(pipeline);
    if (!standing) this.#standing.set(pipeline, (standing = new Standing(systemClock)));
    return standing;
  }

  /** A pipeline that was destroyed: nothing of it stays open in this process, nor is it told of any more. */
  async forget(pipeline: string): Promise<void> {
    this.progress.forget(pipeline);
    await Promise.all([this.standing(pipeline).end(), this.destinations.forget(pipeline)]);
    this.#standing.delete(pipeline);
    this.#logs.delete(pipeline);
    this.#undecided.delete(pipeline);
  }

  async close(): Promise<void> {
    this.reachability.stop();
    await Promise.allSettled([...[...this.#standing.values()].map((each) => each.end()), this.progress.close(), this.#listener.close(), this.destinations.close()]);
    await this.state.end().catch(() => {});
  }
}

/** The name of its chain, and of its directory. */
const undecidedName = 'undecided';
