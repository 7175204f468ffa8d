import { clickhouseSink } from '../connectors/clickhouse/clickhouse-sink.ts';
import { httpSink } from '../connectors/http/http-sink.ts';
import { AggregateSink } from '../connectors/aggregate/aggregate-sink.ts';
import { PostgresAggregateTables } from '../connectors/postgres/aggregate/aggregate-tables.ts';
import { PostgresResultsRelay } from '../connectors/postgres/results-relay.ts';
import type { State } from '../connectors/postgres/state/state.ts';
import { redisLiveSink } from '../connectors/redis/live.ts';
import { RedisResultsRelay } from '../connectors/redis/results-relay.ts';
import type { Relay } from '../connectors/relay.ts';
import type { Sink } from '../connectors/sink.ts';
import type { Config } from '../core/config.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { Position } from '../core/position.ts';
import { unreachable } from '../core/unreachable.ts';
import { readPaneSnapshot } from './pane-snapshot.ts';

export type OpenSink = {
  readonly sink: Sink;
  /** For destinations that can be made again out of what the others keep. */
  readonly rebuild?: () => Promise<Position>;
};

/** Makes the sink of a lane that reads segments, and what it needs on the other side. */
export async function openSink(config: Config, state: State, pipeline: Pipeline, lane: string): Promise<OpenSink> {
  if (lane === 'aggregate') return { sink: new AggregateSink(await PostgresAggregateTables.open(state, pipeline), pipeline) };
  const definition = pipeline.sinks[lane]!;
  switch (definition.kind) {
    case 'clickhouse': {
      const sink = clickhouseSink(pipeline, lane, definition, config.clickhouseUrl);
      await sink.create();
      return { sink };
    }
    case 'redis-live': {
      const sink = redisLiveSink(pipeline, definition, config.redisUrl, () => readPaneSnapshot(state, pipeline, definition));
      return { sink, rebuild: () => sink.rebuild() };
    }
    case 'http':
      return { sink: httpSink(pipeline, lane, definition, { stateUrl: config.stateUrl, allowPrivate: config.httpPrivate || isOwnReceiver(config, definition.url) }) };
    case 'postgres-results':
    case 'redis-results':
      throw new TypeError(`lane ${lane} of ${pipeline.name} reads the outbox, not segments`);
    default:
      return unreachable(definition);
  }
}

/** Makes the relay of a lane that reads the outbox. */
export async function openRelay(config: Config, state: State, pipeline: Pipeline, lane: string): Promise<Relay> {
  switch (pipeline.sinks[lane]?.kind) {
    case 'postgres-results':
      return PostgresResultsRelay.open(state, pipeline, lane);
    case 'redis-results':
      return new RedisResultsRelay(state, pipeline, lane, config.redisUrl);
    default:
      throw new TypeError(`lane ${lane} of ${pipeline.name} reads segments, not the outbox`);
  }
}

/** The sample external system that `sluice up` runs. */
function isOwnReceiver({ receiverPort }: Config, url: string): boolean {
  return new URL(url).origin === `http://127.0.0.1:${receiverPort}`;
}
