import { once } from 'node:events';
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@clickhouse/client';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import type { ClickHouseClient } from '@clickhouse/client';
import { runBackfill } from '../../activities/backfill-loop.ts';
import { openRelay, openSink, type OpenSink } from '../../activities/open-destination.ts';
import type { AggregateSink } from '../../connectors/aggregate/aggregate-sink.ts';
import { BackfillSnapshot } from '../../connectors/postgres/backfill-snapshot.ts';
import { DeadLetters } from '../../connectors/postgres/dead-letters.ts';
import { waitingLetters, withLetter } from '../../connectors/postgres/replayed-letters.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState, readOutbox, type State } from '../../connectors/postgres/state/state.ts';
import { systemClock } from '../../connectors/system-clock.ts';
import { verifyPipeline } from '../../connectors/verification/verify-pipeline.ts';
import { parseConfig, type Config } from '../../core/config.ts';
import { eventPositions } from '../../core/event-positions.ts';
import { letterSegment } from '../../core/dead-letters/letter-segment.ts';
import { passingOver } from '../../core/dead-letters/passing-over.ts';
import { refusedEvent } from '../../core/dead-letters/refused-event.ts';
import { lanesOf } from '../../core/define/lanes.ts';
import { resolve } from '../../core/define/resolve.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { parsePosition, position, type Position } from '../../core/position.ts';
import type { StaleRange } from '../../core/repair.ts';
import { SegmentBuilder, type PlainEvent, type PlainTransaction, type TextRow } from '../../core/segment-builder.ts';
import type { Verification } from '../../core/verification.ts';
import { createReceiver } from '../../infra/receiver/receiver.ts';
import { ReceiverStore } from '../../infra/receiver/store.ts';
import engagement from '../../pipelines/engagement.ts';
import { services, throwAwayClickhouse, throwAwayDatabase, throwAwayRedis } from '../embedded/services.ts';
import { SourceTable, rows, start, titles, type Intent } from '../sinks/stream.ts';

const secret = `whsec_${Buffer.from('a secret of 24 bytes, ok').toString('base64')}`;
const zero = position(1, 1n, 0);

/**
 * A source, and every kind of sink filled by its own connector from the same stream: updates, deletes, moved keys and
 * times, late and future events, and contents that change. Nothing runs, so tests can spoil one place at a time.
 */
export class World implements AsyncDisposable {
  readonly state: State;
  readonly redis: Redis;
  readonly clickhouse: ClickHouseClient;
  readonly pipeline: Pipeline;
  readonly receiver: ReceiverStore;
  readonly #config: Config;
  readonly #sinks: ReadonlyMap<string, OpenSink>;
  readonly #stack: AsyncDisposableStack;
  #fence: Position = zero;
  /** Of the outbox. */
  #relayed = 0;

  /** `refuses`: which events of the stream, by number, each sink is to refuse, whatever their content. `changed`: of the demo's pipeline, another one. */
  static async open({ refuses = () => false, changed = (pipeline) => pipeline }: { readonly refuses?: (event: number) => boolean; readonly changed?: (pipeline: Pipeline) => Pipeline } = {}): Promise<World> {
    const stack = new AsyncDisposableStack();
    const database = stack.use(await throwAwayDatabase());
    const [redisDatabase, clickhouse] = [stack.use(await throwAwayRedis()), stack.use(await throwAwayClickhouse())];
    const directory = await mkdtemp(join(tmpdir(), 'sluice-verify-'));
    stack.defer(() => rm(directory, { recursive: true }));
    const store = stack.adopt(new ReceiverStore(join(directory, 'receiver.sqlite')), (each) => each.close());
    const server = createReceiver(store, secret).listen(0, '127.0.0.1');
    await once(server, 'listening');
    stack.defer(() => void (server.closeAllConnections(), server.close()));
    const { port } = server.address() as AddressInfo;
    const environment = { SLUICE_SOURCE_URL: database.url, SLUICE_STATE_URL: database.url, SLUICE_REDIS_URL: redisDatabase.url, SLUICE_CLICKHOUSE_URL: clickhouse.url, TEMPORAL_ADDRESS: services().temporalAddress, SLUICE_EXTERNAL_URL: `http://127.0.0.1:${port}/events`, SLUICE_RECEIVER_PORT: String(port), SLUICE_EXTERNAL_SECRET: secret };
    const resolved = changed(resolve(engagement, environment));
    const pipeline: Pipeline = { ...resolved, sinks: { ...resolved.sinks, table: { kind: 'postgres-results', view: 'leaderboard', table: 'results.leaderboard' } } };
    const state = stack.adopt(openState(database.url), (pool) => pool.end());
    await migrate(state);
    const redis = stack.adopt(new Redis(redisDatabase.url), (each) => each.disconnect());
    const client = stack.adopt(createClient({ url: clickhouse.url }), (each) => each.close());
    const config = parseConfig(environment);
    const sinks = new Map<string, OpenSink>();
    for (const { name, reads } of lanesOf(pipeline)) if (reads === 'segments') sinks.set(name, stack.adopt(await openSink(config, state, pipeline, name), ({ sink }) => sink.close()));
    const world = new World({ state, redis, clickhouse: client, pipeline, receiver: store, config, sinks, stack });
    await world.#fill(refuses);
    return world;
  }

  private constructor(parts: { state: State; redis: Redis; clickhouse: ClickHouseClient; pipeline: Pipeline; receiver: ReceiverStore; config: Config; sinks: ReadonlyMap<string, OpenSink>; stack: AsyncDisposableStack }) {
    this.state = parts.state;
    this.redis = parts.redis;
    this.clickhouse = parts.clickhouse;
    this.pipeline = parts.pipeline;
    this.receiver = parts.receiver;
    this.#config = parts.config;
    this.#sinks = parts.sinks;
    this.#stack = parts.stack;
  }

  /** Everything is at one place already: a hold is only moving the fences up to the snapshot. */
  verify({ only, ...addresses }: Partial<Config> & { readonly only?: string } = {}): Promise<Verification> {
    const sinks = Object.fromEntries(Object.entries(this.pipeline.sinks).filter(([name]) => only === undefined || name === only));
    const at = (to: Position) => this.#goTo(to);
    const nothing = async () => {};
    return verifyPipeline({ pipeline: { ...this.pipeline, sinks }, addresses: { ...this.#config, ...addresses }, hold: { stop: nothing, at, kept: nothing, release: nothing }, waitMs: 10_000, signal: new AbortController().signal, onPhase: () => {} });
  }

  /** As the backfill activity does; half: it ends after its first chunk, and would go on. */
  backfill(fromMs: number, toMs: number, half?: 'half'): Promise<void> {
    return this.#compute('a backfill', { fromMs, toMs, views: Object.keys(this.pipeline.views) }, half);
  }

  /** As the repair workflow does. Returns how many ranges there were. */
  async repair(): Promise<number> {
    const ranges = await this.#panes.stale();
    for (const [number, range] of ranges.entries()) await this.#compute(`repair ${number}`, range);
    return ranges.length;
  }

  get #panes(): AggregateSink {
    return this.#sinks.get('aggregate')!.sink as AggregateSink;
  }

  async #compute(name: string, { views, ...asked }: StaleRange, half?: 'half'): Promise<void> {
    const { pipeline } = this;
    const signal = new AbortController().signal;
    const panes = this.#panes;
    await runBackfill({
      pipeline,
      name,
      views,
      rows: new Map(),
      asked,
      chunkRows: 100,
      rowsPerSecond: undefined,
      durationMs: half ? 0 : Number.POSITIVE_INFINITY,
      panes,
      take: async (left) => {
        const snapshot = await BackfillSnapshot.take({ pipeline, sourceUrl: this.#config.sourceUrl, epoch: 1, known: undefined, chunkRows: 100, signal }, left);
        await this.#goTo(snapshot.base);
        return snapshot;
      },
      clock: systemClock,
      signal,
      onProgress: () => {},
    });
    if (!half) await panes.endRebuild(name);
    await this.#relay();
  }

  /** As the replay activity does. */
  async replay(lane: string): Promise<void> {
    const { replay } = this.#sinks.get(lane)!;
    if (replay.kind === 'rebuild') return replay.rebuild();
    for (const { id } of await waitingLetters(this.state, { pipeline: this.pipeline.name, lane })) {
      const outcome = await withLetter(this.state, id, (letter, client) => replay.event(letterSegment(this.pipeline, letter), letter.edits, client));
      if (outcome !== 'replayed') throw new Error(`letter ${id}: ${String(outcome)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #goTo(to: Position): Promise<void> {
    const canary: PlainTransaction = { lsn: parsePosition(to).lsn + 8n, commitTimeMs: start, events: [], canaryMs: start };
    const { segments } = new SegmentBuilder(this.pipeline, { epoch: 1, from: this.#fence }).transaction(canary).cut();
    for (const { sink } of this.#sinks.values()) await sink.apply(segments, this.#fence, to);
    this.#fence = to;
  }

  async #fill(refuses: (event: number) => boolean): Promise<void> {
    const { table, transactions, dimension } = stream(await this.#samples());
    const builder = new SegmentBuilder(this.pipeline, { epoch: 1, from: zero });
    for (const transaction of transactions) builder.transaction(transaction);
    const { segments } = builder.cut();
    const to = segments.at(-1)!.header.to;
    for (const { sink } of this.#sinks.values()) await sink.finishLoad(zero);
    const refused = eventPositions(segments, zero, to).filter((_, event) => refuses(event));
    for (const [lane, { sink }] of this.#sinks) {
      const letters = new DeadLetters(this.state, this.pipeline, lane);
      let fence = zero;
      for (const at of refused) {
        await letters.keep(refusedEvent(segments, at, 'id'), 'a test', { from: fence, to: at, events: 1_000_000 });
        await sink.apply(passingOver(segments, at, fence, at), fence, at);
        fence = at;
      }
      await sink.apply(segments, fence, to);
    }
    this.#fence = to;
    await this.#relay();
    await this.#fillSource(table.rows.values(), dimension);
  }

  async #relay(): Promise<void> {
    const messages = await readOutbox(this.state, this.pipeline.name, this.#relayed, 10_000);
    const last = messages.at(-1)?.seq ?? this.#relayed;
    for (const { name, reads } of lanesOf(this.pipeline)) {
      if (reads !== 'outbox') continue;
      const relay = await openRelay(this.#config, this.state, this.pipeline, name);
      await relay.publish(messages, this.#relayed, last);
      await relay.close();
    }
    this.#relayed = last;
  }

  /** Rows with json as Postgres writes it, for that is how it comes in the stream. */
  async #samples(): Promise<readonly TextRow[]> {
    const sampled = fc.sample(rows, { seed: 17, numRuns: seconds * 2 });
    const { rows: payloads } = await this.state.query<{ text: string | null }>('select value::jsonb::text as text from unnest($1::text[]) with ordinality as each (value, place) order by place', [sampled.map((row) => row.raw_payload)]);
    return sampled.map((row, place) => ({ ...row, raw_payload: payloads[place]!.text }));
  }

  async #fillSource(events: Iterable<TextRow>, dimension: readonly TextRow[]): Promise<void> {
    await this.state.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    await this.state.query('alter table engagement_events drop constraint engagement_events_content_id_fkey; alter table content alter slug drop not null, alter publish_ts drop not null');
    await this.state.query('insert into content select * from jsonb_populate_recordset(null::content, $1)', [JSON.stringify(dimension)]);
    const columns = Object.keys(this.pipeline.source.events.columns);
    await this.state.query(`create table texts (${columns.map((name) => `${name} text`).join(', ')})`);
    await this.state.query('insert into texts select * from json_populate_recordset(null::texts, $1)', [JSON.stringify([...events])]);
    await this.state.query(`insert into engagement_events (${columns.join(', ')}) select ${columns.map((name) => `${name}::${this.pipeline.source.events.columns[name]!.type}`).join(', ')} from texts; drop table texts`);
    await this.state.query(`insert into sluice.shard (pipeline, shard, epoch, slot, system_identifier, state, loaded_at, definition_hash) values ($1, $1, 1, 'none', '1', 'streaming', $2, '')`, [this.pipeline.name, zero]);
  }
}

/** Ten minutes in which something happens each second; half-way the contents change. */
function stream(samples: readonly TextRow[]): { table: SourceTable; transactions: readonly PlainTransaction[]; dimension: readonly TextRow[] } {
  const table = new SourceTable();
  const transactions: PlainTransaction[] = [{ lsn: 100n, commitTimeMs: start, events: titles }];
  const first = titles.map((title) => ('row' in title ? title.row : {}));
  const renamed = { ...first[1]!, title: "renamed: 'it' \\ \t", length_seconds: '0' };
  for (let second = 1; second <= seconds; second++) {
    const commitTimeMs = start + second * 1000;
    const intents: Intent[] = samples.slice(second * 2 - 2, second * 2).map((row, place) => ({ kind: kinds[(second * 3 + place) % kinds.length]!, slot: second * 31 + place, row: { ...row, event_ts: timeOf(second, place, commitTimeMs, row['event_ts']!) } as Intent['row'] }));
    const events: PlainEvent[] = intents.map((intent) => table.do(intent));
    if (second === seconds / 2) events.push({ op: 'update', table: 'content', old: first[1]!, row: renamed }, { op: 'delete', table: 'content', old: first[2]! });
    transactions.push({ lsn: BigInt(100 + second * 10), commitTimeMs, events, ...(second === seconds && { canaryMs: commitTimeMs }) });
  }
  return { table, transactions, dimension: [first[0]!, renamed, first[3]!] };
}

const seconds = 600;
const kinds = ['insert', 'insert', 'insert', 'insert', 'update', 'insert', 'move', 'insert', 'delete', 'insert', 'rekey'] as const;

/** Mostly now; sometimes long ago, in the future, infinite, or BC. */
function timeOf(second: number, place: number, commitTimeMs: number, sampled: string): string {
  if ((second + place) % 13 === 0) return sampled;
  if ((second + place) % 17 === 0) return new Date(commitTimeMs + 120_000).toISOString();
  return new Date(commitTimeMs - ((second * 7) % 3_000)).toISOString();
}
