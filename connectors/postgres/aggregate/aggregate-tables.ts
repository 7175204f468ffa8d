import type { PoolClient } from 'pg';
import { aggregateLane } from '../../aggregate/progress.ts';
import type { AggregateState, AggregateTables, AggregateTransaction, PublishedWindow, Said, WindowNow } from '../../aggregate/tables.ts';
import { viewsHash } from '../../../core/define/definition-hash.ts';
import { lanesOf } from '../../../core/define/lanes.ts';
import type { Pipeline } from '../../../core/pipeline.ts';
import type { Position } from '../../../core/position.ts';
import type { Segment } from '../../../core/segment.ts';
import type { Aside, OfTransaction, PaneRange } from '../../../core/views/fold.ts';
import { paneSetsOf } from '../../../core/views/pane-sets.ts';
import type { PaneDeltas, PaneSet } from '../../../core/views/panes.ts';
import type { Rebuilding } from '../../../core/views/rebuilding.ts';
import { classified } from '../errors.ts';
import { noteRebuilds } from '../live-rebuilds.ts';
import { FenceMoved } from '../../sink.ts';
import type { State } from '../state/state.ts';
import { inTransaction, lockFence, outboxChannel, readFence, setFence, unhurried } from '../state/state.ts';
import { mayReplacePanes } from './comparing.ts';
import { keepDimensionVersions } from './dimension-versions.ts';
import { assertKeptAsHere } from './kept-views.ts';
import { PaneStore, bigints } from './pane-store.ts';
import { WindowQuery } from './window-query.ts';

/** In the state database: what 000001.sql says, and a table for each pane set. */
export class PostgresAggregateTables implements AggregateTables {
  readonly #state: State;
  readonly #pipeline: Pipeline;
  readonly #views: string;
  readonly #stores: ReadonlyMap<string, PaneStore>;
  readonly #queries: ReadonlyMap<string, WindowQuery>;

  /** Makes the tables of the panes if they are not there. */
  static async open(state: State, pipeline: Pipeline): Promise<PostgresAggregateTables> {
    const stores = paneSetsOf(pipeline).map((set) => new PaneStore(pipeline.name, set));
    await classified(database, () =>
      inTransaction(state, async (client) => {
        // two workers that start at once: `create table if not exists` is not safe against itself
        await client.query("select pg_advisory_xact_lock(hashtextextended('sluice.panes', 0))");
        for (const store of stores) await store.create(client);
      }),
    );
    return new PostgresAggregateTables(state, pipeline, stores);
  }

  private constructor(state: State, pipeline: Pipeline, stores: readonly PaneStore[]) {
    this.#state = state;
    this.#pipeline = pipeline;
    this.#views = viewsHash(pipeline);
    this.#stores = new Map(stores.map((store) => [store.set.name, store]));
    this.#queries = new Map(stores.flatMap(({ set }) => set.views.map((view) => [view.name, new WindowQuery(pipeline, set, view)] as const)));
  }

  transaction<T>(work: (tables: AggregateTransaction) => Promise<T>): Promise<T> {
    return classified(database, () => inTransaction(this.#state, (client) => work(new Transaction(client, this.#pipeline, this.#views, this.#stores, this.#queries))));
  }

  /** In a transaction that somebody else has begun and ends. */
  within<T>(client: PoolClient, work: (tables: AggregateTransaction) => Promise<T>): Promise<T> {
    return classified(database, () => work(new Transaction(client, this.#pipeline, this.#views, this.#stores, this.#queries)));
  }

  readFence(): Promise<Position | undefined> {
    return classified(database, () => readFence(this.#state, this.#pipeline.name, aggregateLane));
  }
}

const database = 'state database';

class Transaction implements AggregateTransaction {
  readonly #client: PoolClient;
  readonly #pipeline: Pipeline;
  readonly #name: string;
  readonly #views: string;
  readonly #stores: ReadonlyMap<string, PaneStore>;
  readonly #queries: ReadonlyMap<string, WindowQuery>;

  constructor(client: PoolClient, pipeline: Pipeline, views: string, stores: ReadonlyMap<string, PaneStore>, queries: ReadonlyMap<string, WindowQuery>) {
    this.#client = client;
    this.#pipeline = pipeline;
    this.#name = pipeline.name;
    this.#views = views;
    this.#stores = stores;
    this.#queries = queries;
  }

  lockFence(expected: Position): Promise<void> {
    return lockFence(this.#client, this.#name, aggregateLane, expected);
  }

  readFence(): Promise<Position | undefined> {
    return readFence(this.#client, this.#name, aggregateLane);
  }

  setFence(position: Position): Promise<void> {
    return setFence(this.#client, this.#name, aggregateLane, position);
  }

  async lock(): Promise<AggregateState> {
    const read = () => this.#client.query<AggregateRow>({ name: 'lock aggregate', text: 'select * from sluice.aggregate where pipeline = $1 for update', values: [this.#name] });
    let { rows } = await read();
    if (rows.length === 0) {
      await this.#client.query('insert into sluice.aggregate (pipeline) values ($1) on conflict do nothing', [this.#name]);
      ({ rows } = await read());
    }
    const row = rows[0]!;
    if (row.views !== null && row.views !== this.#views) {
      await assertKeptAsHere(this.#client, this.#name);
      // somebody who stood still while the pipeline became another would write panes and windows of before
      throw new FenceMoved(`lane ${aggregateLane} of ${this.#name}`, `views ${this.#views.slice(0, 8)}`, `views ${row.views.slice(0, 8)}`);
    }
    return {
      clockUs: numberOf(row.clock_us),
      loadedClockUs: numberOf(row.loaded_clock_us),
      loadEpoch: numberOf(row.load_epoch),
      horizonMs: Number(row.horizon_ms),
      outboxSeq: Number(row.outbox_seq),
      dirty: row.dirty,
      rebuilding: row.rebuilding,
      isStale: row.is_stale,
    };
  }

  async write({ clockUs, loadedClockUs, loadEpoch, horizonMs, outboxSeq, dirty, rebuilding, isStale }: AggregateState, fence: Position | undefined): Promise<void> {
    await this.#client.query({
      name: 'finish aggregate',
      text: `with moved as (update sluice.fence set position = $9, moved_at = now() where pipeline = $1 and lane = $10 and $9::text is not null)
             update sluice.aggregate set clock_us = $2, loaded_clock_us = $3, load_epoch = $4, horizon_ms = $5, outbox_seq = $6, dirty = $7, rebuilding = $8, views = $11, is_stale = $12 where pipeline = $1`,
      values: [this.#name, clockUs ?? null, loadedClockUs ?? null, loadEpoch ?? null, horizonMs, outboxSeq, JSON.stringify(dirty), JSON.stringify(rebuilding), fence ?? null, aggregateLane, this.#views, isStale],
    });
  }

  async forgetLetters(from: Position, to: Position, applied: () => readonly Position[]): Promise<void> {
    const letters = 'sluice.dead_letter where pipeline = $1 and lane = $2 and position';
    const { rows } = await this.#client.query<{ position: Position }>({ name: 'letters of an apply', text: `select position from ${letters} > $3 and position <= $4`, values: [this.#name, aggregateLane, from, to] });
    if (rows.length === 0) return;
    const taken = new Set(applied());
    await this.#client.query(`delete from ${letters} = any($3)`, [this.#name, aggregateLane, rows.flatMap(({ position }) => (taken.has(position) ? [position] : []))]);
  }

  keepDimensions(segments: readonly Segment[], from: Position, to: Position): Promise<void> {
    return keepDimensionVersions(this.#client, this.#pipeline, segments, from, to);
  }

  addToPanes(set: PaneSet, deltas: PaneDeltas): Promise<readonly number[]> {
    return this.#store(set).add(this.#client, deltas);
  }

  setAside(set: PaneSet, aside: readonly Aside[]): Promise<void> {
    return this.#store(set).setAside(this.#client, aside);
  }

  keepChanges(set: PaneSet, kept: readonly OfTransaction[]): Promise<void> {
    return this.#store(set).keepChanges(this.#client, kept);
  }

  replacePanes(set: PaneSet, range: PaneRange, panes: PaneDeltas, base: Position): Promise<void> {
    return this.#store(set).replace(this.#client, range, panes, base);
  }

  noteLiveRebuilds(lanes: readonly string[]): Promise<void> {
    return noteRebuilds(this.#client, this.#pipeline, lanes);
  }

  mayReplace(): Promise<boolean> {
    return mayReplacePanes(this.#client, this.#pipeline.name);
  }

  forgetChanges(set: PaneSet): Promise<void> {
    return this.#store(set).forgetChanges(this.#client);
  }

  basesOf(set: PaneSet, panes: Iterable<number>): Promise<ReadonlyMap<number, Position>> {
    return this.#store(set).basesOf(this.#client, panes);
  }

  clearPanes(set: PaneSet): Promise<void> {
    return this.#store(set).clear(this.#client);
  }

  panesBetween(set: PaneSet, from: number, before: number): Promise<readonly number[]> {
    return this.#store(set).panesBetween(this.#client, from, before);
  }

  latePanes(set: PaneSet, from: number, before: number): Promise<readonly number[]> {
    return this.#store(set).latePanes(this.#client, from, before);
  }

  retractedPanes(set: PaneSet, from: number, before: number): Promise<readonly number[]> {
    return this.#store(set).retractedPanes(this.#client, from, before);
  }

  readWindows(view: string, ends: readonly number[], at: Position): Promise<readonly WindowNow[]> {
    return this.#queries.get(view)!.read(this.#client, ends, at);
  }

  async openWindows(view: string, upTo: number): Promise<readonly number[]> {
    const { rows } = await this.#client.query<{ end: string }>('select window_end_ms as end from sluice.published_window where pipeline = $1 and view = $2 and not final and window_end_ms <= $3', [this.#name, view, upTo]);
    return rows.map(({ end }) => Number(end));
  }

  async keepWindows(windows: readonly PublishedWindow[]): Promise<void> {
    await this.#client.query({
      name: 'keep windows',
      text: `insert into sluice.published_window (pipeline, view, window_end_ms, revision, final, digest)
             select $1, * from unnest($2::text[], $3::bigint[], $4::int[], $5::boolean[], $6::text[])
             on conflict (pipeline, view, window_end_ms) do update set revision = excluded.revision, final = excluded.final, digest = excluded.digest`,
      values: [this.#name, windows.map(({ view }) => view), bigints(windows.map(({ endMs }) => endMs)), bigints(windows.map(({ revision }) => revision)), windows.map(({ final }) => final), windows.map(({ digest }) => digest)],
    });
  }

  async emptyWindows(): Promise<void> {
    await this.#client.query("update sluice.published_window set revision = revision + 1, digest = '' where pipeline = $1 and digest <> ''", [this.#name]);
  }

  async say(messages: readonly Said[], after: number): Promise<void> {
    await this.#client.query({
      name: 'append to outbox',
      text: `insert into sluice.outbox (pipeline, seq, view, message)
             select $1, $2 + place, entry ->> 'view', entry -> 'message' from jsonb_array_elements($3::jsonb) with ordinality as entries (entry, place)`,
      values: [this.#name, after, JSON.stringify(messages)],
    });
    await this.#client.query({ name: 'notify outbox', text: 'select pg_notify($1, $2)', values: [outboxChannel, this.#name] });
  }

  async trim(horizonMs: number, keepMessagesFromMs: number): Promise<void> {
    for (const store of this.#stores.values()) await store.trim(this.#client, horizonMs);
    await this.#client.query(unhurried({ text: 'delete from sluice.published_window where pipeline = $1 and final and window_end_ms <= $2', values: [this.#name, horizonMs] }));
    // A relay that lost its state begins with what is left, so that must say the same: a message goes when a later one says
    // more, which is one of as new a window, or a truncate. Or windows from before a truncate, which are kept longer, would
    // count again. Each message is read once: they are large.
    const relays = lanesOf(this.#pipeline).filter(({ reads }) => reads === 'outbox');
    await this.#client.query(unhurried({
      text: `with said as materialized (
               select seq, view, (message ->> 'windowEndMs')::bigint as end_ms from sluice.outbox where pipeline = $1
             ), later as (
               select seq, end_ms, coalesce(end_ms, 9223372036854775807) <= max(coalesce(end_ms, 9223372036854775807)) over (partition by view order by seq desc rows between unbounded preceding and 1 preceding) as is_superseded from said
             )
             delete from sluice.outbox message using later where pipeline = $1 and message.seq = later.seq and later.is_superseded and coalesce(later.end_ms, 0) < $3
               and message.seq <= (select case when count(*) = cardinality($2::text[]) then coalesce(min(seq), 9223372036854775807) else 0 end from sluice.relay_fence where pipeline = $1 and lane = any($2))`,
      values: [this.#name, relays.map(({ name }) => name), keepMessagesFromMs],
    }));
  }

  async takeChunk(chunk: number): Promise<boolean> {
    const { rowCount } = await this.#client.query('insert into sluice.load_chunk (pipeline, chunk) values ($1, $2) on conflict do nothing', [this.#name, chunk]);
    return rowCount === 1;
  }

  async forgetChunks(): Promise<void> {
    await this.#client.query('delete from sluice.load_chunk where pipeline = $1', [this.#name]);
  }

  async forget(): Promise<void> {
    for (const store of this.#stores.values()) await store.forget(this.#client);
    for (const table of ['published_window', 'load_chunk', 'dimension_version']) await this.#client.query(unhurried({ text: `delete from sluice.${table} where pipeline = $1`, values: [this.#name] }));
    await this.#client.query('delete from sluice.fence where pipeline = $1 and lane = $2', [this.#name, aggregateLane]);
  }

  #store(set: PaneSet): PaneStore {
    return this.#stores.get(set.name)!;
  }
}

type AggregateRow = {
  readonly clock_us: string | null;
  readonly loaded_clock_us: string | null;
  readonly load_epoch: string | null;
  readonly horizon_ms: string;
  readonly outbox_seq: string;
  readonly dirty: Readonly<Record<string, readonly number[]>>;
  readonly rebuilding: readonly Rebuilding[];
  readonly views: string | null;
  readonly is_stale: boolean;
};

function numberOf(value: string | null): number | undefined {
  return value === null ? undefined : Number(value);
}
