import { randomUUID } from 'node:crypto';
import type { PoolClient } from 'pg';
import { AggregateSink } from '../connectors/aggregate/aggregate-sink.ts';
import { clickhouseSink } from '../connectors/clickhouse/clickhouse-sink.ts';
import { payShapes } from '../connectors/clickhouse/owed-shapes.ts';
import { httpSink } from '../connectors/http/http-sink.ts';
import { PostgresAggregateTables } from '../connectors/postgres/aggregate/aggregate-tables.ts';
import { DeadLetters } from '../connectors/postgres/dead-letters.ts';
import { dueRebuilds, noteRebuilds } from '../connectors/postgres/live-rebuilds.ts';
import { PostgresResultsRelay } from '../connectors/postgres/results-relay.ts';
import type { State } from '../connectors/postgres/state/state.ts';
import { redisLiveSink } from '../connectors/redis/live.ts';
import { RedisResultsRelay } from '../connectors/redis/results-relay.ts';
import type { Relay } from '../connectors/relay.ts';
import { ConfigurationError, FenceMoved, type Sink } from '../connectors/sink.ts';
import type { Config } from '../core/config.ts';
import { notOnRecord } from '../core/define/definition-hash.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { Position } from '../core/position.ts';
import type { Segment } from '../core/segment.ts';
import { unreachable } from '../core/unreachable.ts';
import type { RangeSink } from './backfill-loop.ts';
import { readPaneSnapshot } from './pane-snapshot.ts';
import { rangeSink } from './range-sink.ts';
import type { RewrittenSink } from './rewrite-rows.ts';
import { rewrittenSink } from './rewritten-sink.ts';

export type OpenSink = {
  readonly sink: Sink;
  /** For destinations that can be made again out of what the others keep. */
  readonly rebuild?: () => Promise<Position>;
  readonly replay: Replay;
  /** For destinations whose rows are versioned by position: those of a time can be written anew from a snapshot (E17). */
  readonly range?: RangeSink;
  /** Likewise all of them, once. */
  readonly rewrite?: RewrittenSink;
};

/**
 * How a dead letter gets to its destination. event: beside the fence; what it does in the state database belongs to the
 * transaction of `client`, which settles the letter; `buryVoid` follows one that was lost. rebuild: the destination is made
 * again out of what the aggregate lane has by now, which settles every letter that is in there.
 */
export type Replay =
  | EventReplay
  | { readonly kind: 'rebuild'; readonly rebuild: () => Promise<void> };

export type EventReplay = {
  readonly kind: 'event';
  readonly event: (event: Segment, edits: number, client: PoolClient) => Promise<void>;
  /** For a destination in which a truncate covers only what it finds: what has landed below it since is buried too (E8). */
  readonly buryVoid?: () => Promise<void>;
};

/** Makes the sink of a lane that reads segments, and what it needs on the other side. */
export async function openSink(config: Config, state: State, pipeline: Pipeline, lane: string): Promise<OpenSink> {
  if (lane === 'aggregate') {
    const tables = await PostgresAggregateTables.open(state, pipeline);
    const sink = new AggregateSink(tables, pipeline);
    const event = async (letter: Segment, _: number, client: PoolClient) => {
      await tables.within(client, (within) => sink.replay(within, letter));
      await noteRebuilds(client, pipeline);
    };
    return { sink, replay: { kind: 'event', event } };
  }
  const definition = pipeline.sinks[lane]!;
  switch (definition.kind) {
    case 'clickhouse': {
      const sink = clickhouseSink(pipeline, lane, definition, config.clickhouseUrl);
      // of migrations that did not wait for it
      await payShapes(state, config.clickhouseUrl, pipeline.name, lane);
      await sink.create();
      const letters = new DeadLetters(state, pipeline, lane);
      const buryVoid = async () => {
        const below = await letters.voidedBelow();
        if (below !== undefined) await sink.bury(below);
      };
      const range = rangeSink(pipeline, lane, sink, letters);
      const rewrite = rewrittenSink(`rewrite ${randomUUID()}`, sink, range, letters);
      return { sink, replay: { kind: 'event', event: (event) => sink.replay(event), buryVoid }, range, rewrite };
    }
    case 'redis-live': {
      const sink = redisLiveSink(pipeline, definition, config.redisUrl, () => readPaneSnapshot(state, pipeline, definition), dueRebuilds(state, pipeline, lane));
      const letters = new DeadLetters(state, pipeline, lane);
      const rebuild = async () => {
        const fence = await sink.rebuild();
        await letters.rebuilt(fence);
        return fence;
      };
      return { sink, rebuild, replay: { kind: 'rebuild', rebuild: () => besideItsLane(rebuild) } };
    }
    case 'http': {
      if (definition.secret === notOnRecord) throw new ConfigurationError(`Lane ${lane}: pipelines/${pipeline.name}.ts does not have this sink any more, and its address is kept nowhere else. Type ./sluice apply ${pipeline.name}, which ends it; or put it back, restart the worker (./sluice down, ./sluice up) and type ./sluice resume ${pipeline.name} --lane ${lane}.`);
      const sink = httpSink(pipeline, lane, definition, { stateUrl: config.stateUrl, allowPrivate: config.httpPrivate || isOwnReceiver(config, definition.url) });
      return { sink, replay: { kind: 'event', event: (event, edits) => sink.replay(event, edits) } };
    }
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

/** The lane may move the fence while the panes are read: it moves it no more often than it has something to apply. */
async function besideItsLane(rebuild: () => Promise<Position>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await rebuild();
      return;
    } catch (error) {
      if (!(error instanceof FenceMoved) || tries === 50) throw error;
    }
  }
}

/** The sample external system that `sluice up` runs. */
function isOwnReceiver({ receiverPort }: Config, url: string): boolean {
  return new URL(url).origin === `http://127.0.0.1:${receiverPort}`;
}
