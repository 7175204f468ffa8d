import type { Relay } from '../connectors/relay.ts';
import type { Sink } from '../connectors/sink.ts';
import type { State } from '../connectors/postgres/state/state.ts';
import type { Config } from '../core/config.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { Position } from '../core/position.ts';
import { openRelay, openSink, type OpenSink } from './open-destination.ts';

/** The open sinks and relays of a process. One that failed is closed, and opened anew by the next attempt. */
export class Destinations {
  readonly #config: Config;
  readonly #state: State;
  readonly #sinks: Opened<OpenSink> = new Map();
  readonly #relays: Opened<Relay> = new Map();

  constructor(config: Config, state: State) {
    this.#config = config;
    this.#state = state;
  }

  useSink<T>(pipeline: Pipeline, lane: string, use: (open: OpenSink) => Promise<T>): Promise<T> {
    return useOpen(this.#sinks, pipeline, lane, () => openSink(this.#config, this.#state, pipeline, lane), use, ({ sink }) => sink.close());
  }

  useRelay<T>(pipeline: Pipeline, lane: string, use: (relay: Relay) => Promise<T>): Promise<T> {
    return useOpen(this.#relays, pipeline, lane, () => openRelay(this.#config, this.#state, pipeline, lane), use, (relay) => relay.close());
  }

  /** For the length of a first load, in which no lane runs. */
  async sink(pipeline: Pipeline, lane: string): Promise<Sink> {
    return this.useSink(pipeline, lane, async ({ sink }) => sink);
  }

  readFence(pipeline: Pipeline, lane: string): Promise<Position | undefined> {
    return this.useSink(pipeline, lane, ({ sink }) => sink.readFence());
  }

  /** Those of a pipeline are opened anew by whoever needs them next. */
  async forget(pipeline: string): Promise<void> {
    const [sinks, relays] = [taken(this.#sinks, pipeline), taken(this.#relays, pipeline)];
    await Promise.allSettled([...sinks.map(async (sink) => (await sink).sink.close()), ...relays.map(async (relay) => (await relay).close())]);
  }

  async close(): Promise<void> {
    const open = [...[...this.#sinks.values()].map(async ({ destination }) => (await destination).sink.close()), ...[...this.#relays.values()].map(async ({ destination }) => (await destination).close())];
    await Promise.allSettled(open);
  }
}

type Opened<O> = Map<string, { readonly pipeline: Pipeline; readonly destination: Promise<O> }>;

async function useOpen<O, T>(all: Opened<O>, pipeline: Pipeline, lane: string, open: () => Promise<O>, use: (destination: O) => Promise<T>, close: (destination: O) => Promise<void>): Promise<T> {
  const key = `${pipeline.name}/${lane}`;
  let opened = all.get(key);
  if (opened?.pipeline !== pipeline) {
    // a migration has come between: who still uses it fails, and tries again
    void opened?.destination.then(close).catch(() => {});
    all.set(key, (opened = { pipeline, destination: open() }));
  }
  try {
    return await use(await opened.destination);
  } catch (error) {
    if (all.get(key) === opened) all.delete(key);
    await opened.destination.then(close).catch(() => {});
    throw error;
  }
}

function taken<O>(all: Opened<O>, pipeline: string): readonly Promise<O>[] {
  const own = [...all].filter(([, opened]) => opened.pipeline.name === pipeline);
  for (const [key] of own) all.delete(key);
  return own.map(([, { destination }]) => destination);
}
