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
  readonly #sinks = new Map<string, Promise<OpenSink>>();
  readonly #relays = new Map<string, Promise<Relay>>();

  constructor(config: Config, state: State) {
    this.#config = config;
    this.#state = state;
  }

  useSink<T>(pipeline: Pipeline, lane: string, use: (open: OpenSink) => Promise<T>): Promise<T> {
    return useOpen(this.#sinks, keyOf(pipeline, lane), () => openSink(this.#config, this.#state, pipeline, lane), use, ({ sink }) => sink.close());
  }

  useRelay<T>(pipeline: Pipeline, lane: string, use: (relay: Relay) => Promise<T>): Promise<T> {
    return useOpen(this.#relays, keyOf(pipeline, lane), () => openRelay(this.#config, this.#state, pipeline, lane), use, (relay) => relay.close());
  }

  /** For the length of a first load, in which no lane runs. */
  async sink(pipeline: Pipeline, lane: string): Promise<Sink> {
    return this.useSink(pipeline, lane, async ({ sink }) => sink);
  }

  readFence(pipeline: Pipeline, lane: string): Promise<Position | undefined> {
    return this.useSink(pipeline, lane, ({ sink }) => sink.readFence());
  }

  async close(): Promise<void> {
    const open = [...[...this.#sinks.values()].map(async (sink) => (await sink).sink.close()), ...[...this.#relays.values()].map(async (relay) => (await relay).close())];
    await Promise.allSettled(open);
  }
}

async function useOpen<O, T>(opened: Map<string, Promise<O>>, key: string, open: () => Promise<O>, use: (destination: O) => Promise<T>, close: (destination: O) => Promise<void>): Promise<T> {
  let destination = opened.get(key);
  if (!destination) opened.set(key, (destination = open()));
  try {
    return await use(await destination);
  } catch (error) {
    if (opened.get(key) === destination) opened.delete(key);
    await destination.then(close).catch(() => {});
    throw error;
  }
}

function keyOf(pipeline: Pipeline, lane: string): string {
  return `${pipeline.name}/${lane}`;
}
