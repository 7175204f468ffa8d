import type { Client } from 'pg';
import type { Config } from '../../core/config.ts';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { position } from '../../core/position.ts';
import { unreachable } from '../../core/unreachable.ts';
import { complete } from '../../core/redefine.ts';
import { lostNote, lostViews } from '../../core/migration/lost.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import type { Check, Verification } from '../../core/verification.ts';
import { keepPanes } from '../postgres/aggregate/comparing.ts';
import { leave } from '../postgres/leave.ts';
import { readIncomplete } from '../postgres/redefinitions.ts';
import { readShard } from '../postgres/shard-state.ts';
import { checkClickHouse } from './check-clickhouse.ts';
import { checkLive } from './check-live.ts';
import { checkPanes } from './check-panes.ts';
import { checkReceiver } from './check-receiver.ts';
import { checkRedisResults } from './check-redis-results.ts';
import { checkResultsTable } from './check-results-table.ts';
import { explained, readLetters } from './dead-letters.ts';
import { checkDimensions, readVersions, sourceTable } from './dimensions.ts';
import { NotComparable } from './not-comparable.ts';
import { makeSourcePanes } from './pane-sql.ts';
import { SourceSnapshot } from './source-snapshot.ts';
import type { AggregateNow } from './windows.ts';
import { makeExpectedWindows, readAggregateNow } from './windows.ts';
import { openWorkingDatabase } from './working-database.ts';

export type Addresses = Pick<Config, 'sourceUrl' | 'stateUrl' | 'redisUrl' | 'clickhouseUrl'>;

/** What brings the lanes of a running pipeline to one place of its stream. */
export type Hold = {
  /** From here on no lane gets anything new. */
  stop(): Promise<void>;
  /** Lets the stream go on, and every lane up to exactly this position. */
  at(position: Position): Promise<void>;
  /** Throws NotComparable if a lane was let go before: what it was compared as may not be what it has. */
  kept(): Promise<void>;
  /** Undoes whatever was done of these. */
  release(): Promise<void>;
};

export type VerifyOptions = {
  readonly pipeline: Pipeline;
  readonly addresses: Addresses;
  readonly hold: Hold;
  /** How long the source's running write transactions may take to end. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
  readonly onPhase: (phase: string) => void;
};

/**
 * Compares a pipeline's sinks with its source, at one position, while the source is being written to. The stream stops
 * before the snapshot is taken: lanes follow it within milliseconds, and would be past it before they were told to wait.
 */
export async function verifyPipeline(options: VerifyOptions): Promise<Verification> {
  const { addresses, hold, signal, onPhase } = options;
  const database = await openWorkingDatabase(addresses.stateUrl);
  let snapshot: SourceSnapshot | undefined;
  try {
    onPhase('stopping the stream for a moment');
    await hold.stop();
    await keepPanes(database, options.pipeline.name);
    // what is being filled since the definition has changed is not compared
    const pipeline = complete(options.pipeline, await readIncomplete(database, options.pipeline.name));
    const { epoch, loadedAt } = await shardOf(database, pipeline.name);
    onPhase('taking a snapshot of the source');
    snapshot = await SourceSnapshot.take(addresses.sourceUrl, pipeline, options.waitMs);
    const at = position(epoch, snapshot.consistentPoint, 0);
    onPhase('holding every lane at the snapshot, and reading the source');
    await Promise.all([hold.at(at), copySource(database, snapshot, pipeline, signal)]);
    await snapshot.close();
    const checks = await checksOf(database, { ...options, pipeline }, at, loadedAt);
    await hold.kept();
    return { pipeline: pipeline.name, position: at, equal: checks.every(({ equal }) => equal), checks };
  } finally {
    try {
      // first, as lanes are waiting
      await hold.release();
    } finally {
      await snapshot?.close();
      await leave(database);
    }
  }
}

/** Throws NotComparable until a pipeline is loaded. */
export async function shardOf(database: Client, pipeline: string): Promise<{ epoch: number; loadedAt: Position }> {
  const shard = await readShard(database, pipeline);
  if (shard?.state === 'streaming' && shard.loadedAt) return { epoch: shard.epoch, loadedAt: shard.loadedAt };
  throw new NotComparable(`Pipeline ${pipeline} ${shard ? 'is still being loaded' : 'was never loaded'}. See ./sluice status, and compare it when it is running.`);
}

async function copySource(database: Client, snapshot: SourceSnapshot, { source }: Pipeline, signal: AbortSignal): Promise<void> {
  await snapshot.copy(source.events, database, sourceTable('events'), signal);
  for (const [name, dimension] of Object.entries(source.dimensions)) await snapshot.copy(dimension, database, sourceTable(name), signal);
}

/** One after another: all are on one connection. */
async function checksOf(database: Client, options: VerifyOptions, at: Position, loadedAt: Position): Promise<Check[]> {
  const { pipeline, signal, onPhase } = options;
  await readVersions(database, pipeline, at);
  const letters = await readLetters(database, pipeline, at);
  const aggregate = await readAggregateNow(database, pipeline.name);
  const checks: Check[] = [];
  const add = async (name: string, work: () => Promise<Check | readonly Check[]>, lane = name) => {
    signal.throwIfAborted();
    onPhase(`comparing ${name}`);
    checks.push(...[await reachable(name, work, signal)].flat().map((check) => explained(check, pipeline.name, lane, letters.get(lane))));
  };
  await add('dimensions', () => checkDimensions(database, pipeline));
  const lost = lostViews(pipeline);
  for (const set of paneSetsOf(pipeline)) {
    await makeSourcePanes(database, pipeline, set);
    if (set.views.some(({ name }) => lost.has(name))) {
      checks.push(notCompared('aggregate', `panes of ${set.views.map(({ name }) => name).join(', ')}`));
      continue;
    }
    await add('panes', () => checkPanes(database, pipeline, set, aggregate.horizonMs), 'aggregate');
  }
  await add('windows', () => makeExpectedWindows(database, pipeline, aggregate).then(() => []));
  for (const [name, sink] of Object.entries(pipeline.sinks)) {
    if ('view' in sink && lost.has(sink.view)) checks.push(notCompared(name, `view ${sink.view}`));
    else await add(name, () => checkSink(database, options, { name, sink, at, loadedAt, aggregate }));
  }
  return checks;
}

/** What was counted before a column was lost, the source cannot say any more. */
function notCompared(sink: string, what: string): Check {
  const nothing = { rows: 0, checksum: '0'.repeat(16) };
  return { sink, what, expected: nothing, actual: nothing, equal: true, differences: [], note: lostNote };
}

type Compared = { readonly name: string; readonly sink: SinkDefinition; readonly at: Position; readonly loadedAt: Position; readonly aggregate: AggregateNow };

async function checkSink(database: Client, { pipeline, addresses, signal }: VerifyOptions, { name, sink, at, loadedAt, aggregate }: Compared): Promise<Check | readonly Check[]> {
  switch (sink.kind) {
    case 'clickhouse':
      return checkClickHouse(database, pipeline, name, sink, addresses.clickhouseUrl, signal);
    case 'redis-live':
      return checkLive(database, pipeline, name, sink, addresses.redisUrl, at, signal);
    case 'http':
      return checkReceiver(database, pipeline, name, sink, signal);
    case 'postgres-results':
      return checkResultsTable(database, pipeline, name, sink, aggregate, loadedAt);
    case 'redis-results':
      return checkRedisResults(database, pipeline, name, sink, addresses.redisUrl, aggregate, loadedAt, signal);
    default:
      return unreachable(sink);
  }
}

/** A sink that does not answer, or whose contents cannot even be read, is not a difference. */
async function reachable<T>(name: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NotComparable || signal.aborted) throw error;
    throw new NotComparable(`${name} could not be read: ${sentence(error)}. See ./sluice status.`, { cause: error });
  }
}

/** fetch says why only in the cause. */
function sentence(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message} (${cause.message})` : message;
}
