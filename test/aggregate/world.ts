import { bigint, count, definePipeline, dimension, distinct, hopping, integer, max, min, postgres, quantile, results, sum, table, text, timestamptz, tumbling } from '../../core/define-pipeline.ts';
import { resolve } from '../../core/define/resolve.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { position } from '../../core/position.ts';
import type { PlainEvent, PlainTransaction } from '../../core/segment-builder.ts';
import { SegmentBuilder } from '../../core/segment-builder.ts';
import type { Segment } from '../../core/segment.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import { AggregateSink } from '../../connectors/aggregate/aggregate-sink.ts';
import { PostgresAggregateTables } from '../../connectors/postgres/aggregate/aggregate-tables.ts';
import { paneTable } from '../../connectors/postgres/aggregate/pane-store.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import type { State } from '../../connectors/postgres/state/state.ts';
import { inTransaction, openState } from '../../connectors/postgres/state/state.ts';
import { throwAwayDatabase } from '../embedded/services.ts';

/** Two published views over one pane set: 10 s windows, and 30 s windows each 10 s. Delay 2 s, lateness 20 s. */
export const pipeline = resolve(
  definePipeline({
    name: 'agg',
    source: postgres({
      events: table('events', { id: bigint(), k: text().nullable().interned(), at: timestamptz().nullable(), points: integer().nullable() }, { key: 'id', eventTime: 'at' }),
      posts: dimension('posts', { id: text(), title: text().nullable() }, { key: 'id', on: 'k' }),
    }),
    views: ({ events, posts }) => ({
      tumble: tumbling('10s', { key: events.k, measures: { views: count() }, top: 3, labels: { title: posts.title } }),
      hop: hopping('30s', { every: '10s', key: events.k, measures: { views: count(), points: sum(events.points) }, rankBy: 'points', top: 2 }),
    }),
    sinks: { out: results({ view: 'tumble', table: 'results.tumble' }) },
    settings: { watermarkDelayMs: 2_000, allowedLatenessMs: 20_000, maxFutureMs: 60_000 },
  }),
  {},
);

const pointsColumn = { op: 'column', table: 'events', column: 'points', type: 'int' } as const;
const hop = pipeline.views['hop']!;
/** The same, and the hopping view also has the greatest and the least of the points. */
export const withExtremes: Pipeline = { ...pipeline, views: { ...pipeline.views, hop: { ...hop, measures: { ...hop.measures, high: max(pointsColumn), low: min(pointsColumn) } } } };

const tumble = pipeline.views['tumble']!;
/** The hopping view has quantiles of the points, and a third one how many different points there are: each has panes of its own. */
export const withBuckets: Pipeline = {
  ...pipeline,
  views: {
    tumble: { ...tumble, measures: { ...tumble.measures, points: sum(pointsColumn) } },
    hop: { ...hop, measures: { views: count(), points: sum(pointsColumn), high: max(pointsColumn), least: quantile(pointsColumn, 0), median: quantile(pointsColumn, 0.5), p90: quantile(pointsColumn, 0.9) } },
    kinds: { ...hop, measures: { kinds: distinct(pointsColumn) }, rank: { by: 'kinds', top: 3 } },
  },
  sinks: { ...pipeline.sinks, hop: { kind: 'postgres-results', view: 'hop', table: 'results.hop' }, kinds: { kind: 'postgres-results', view: 'kinds', table: 'results.kinds' } },
};

/** The hopping view is also shown in Redis. */
export const withLive: Pipeline = { ...pipeline, sinks: { ...pipeline.sinks, live: { kind: 'redis-live', view: 'hop', key: 'live', hash: {}, gatherMs: 50 } } };

/** A round moment; times of tests are seconds after it. */
export const start = Date.UTC(2026, 10, 21, 10);
export const second = (seconds: number): string => new Date(start + seconds * 1000).toISOString();
export const startOfStream = position(1, 1n, 0);

export function insert(id: number, k: string | null, at: string | null, points = '1'): PlainEvent {
  return { op: 'insert', row: { id: String(id), k, at, points } };
}

/** A transaction at a second, whose LSN is ten times its number. */
export function transaction(number: number, seconds: number, events: readonly PlainEvent[]): PlainTransaction {
  return { lsn: BigInt(number * 10), commitTimeMs: start + seconds * 1000, events };
}

export function canary(number: number, seconds: number): PlainTransaction {
  return { ...transaction(number, seconds, []), canaryMs: start + seconds * 1000 };
}

/** Segments of a stream; `cutAfter` and `cutInside` say where they are cut. */
export function segmentsOf(transactions: readonly PlainTransaction[], cutInside: (transaction: number, event: number) => boolean = () => false, cutAfter: (transaction: number) => boolean = () => false): readonly Segment[] {
  const builder = new SegmentBuilder(pipeline, { epoch: 1, from: startOfStream });
  transactions.forEach((each, index) => {
    builder.transaction(each, new Set(each.events.map((_, event) => event).filter((event) => event > 0 && cutInside(index, event))));
    if (cutAfter(index)) builder.cut();
  });
  return builder.cut().segments;
}

/** A state database of its own, with the pipeline's sink, whose first load of nothing is done. */
export class World implements AsyncDisposable {
  readonly state: State;
  readonly sink: AggregateSink;
  readonly #tables: PostgresAggregateTables;
  readonly #paneTables: readonly string[];
  readonly #drop: () => PromiseLike<void>;

  static async open({ loaded = true, of = pipeline }: { readonly loaded?: boolean; readonly of?: Pipeline } = {}): Promise<World> {
    const database = await throwAwayDatabase();
    const state = openState(database.url);
    await migrate(state);
    const world = new World(state, of, await PostgresAggregateTables.open(state, of), () => database[Symbol.asyncDispose]());
    if (loaded) await world.sink.finishLoad(startOfStream);
    return world;
  }

  private constructor(state: State, of: Pipeline, tables: PostgresAggregateTables, drop: () => PromiseLike<void>) {
    this.state = state;
    this.sink = new AggregateSink(tables, of);
    this.#tables = tables;
    this.#paneTables = paneSetsOf(of).map((set) => paneTable(of.name, set));
    this.#drop = drop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.state.end();
    await this.#drop();
  }

  /** As if nothing had come yet. */
  async forget(): Promise<void> {
    await this.forgetLoad();
    await this.sink.finishLoad(startOfStream);
  }

  async forgetLoad(): Promise<void> {
    // not TRUNCATE: for a few rows it costs ten times as much
    await this.state.query([...tables.map((name) => `sluice.${name}`), ...this.#paneTables].map((name) => `delete from ${name}`).join('; '));
  }

  async applyAll(segments: readonly Segment[]): Promise<void> {
    await this.sink.apply(segments, segments[0]!.header.from, segments.at(-1)!.header.to);
  }

  /** As a dead letter is. */
  async replay(event: Segment): Promise<void> {
    await inTransaction(this.state, (client) => this.#tables.within(client, (letters) => this.sink.replay(letters, event)));
  }

  async rows(sql: string): Promise<readonly Record<string, unknown>[]> {
    return (await this.state.query(sql)).rows as Record<string, unknown>[];
  }

  panes(): Promise<readonly Pane[]> {
    return this.#numbers(`select pane_ms, key, count, points from sluice.panes_agg_tumble where count <> 0 or points <> 0 order by 1, 2`);
  }

  late(): Promise<readonly (Pane & { reason: string; position: Position })[]> {
    return this.#numbers(`select pane_ms, key, deltas[1] as count, deltas[2] as points, reason, position from sluice.late order by pane_ms, key, position, reason`) as Promise<
      readonly (Pane & { reason: string; position: Position })[]
    >;
  }

  async outbox(): Promise<readonly Message[]> {
    return (await this.rows('select seq::int, view, message from sluice.outbox order by seq')) as unknown as readonly Message[];
  }

  /** The last message of each window of a view. */
  async windows(view: string): Promise<ReadonlyMap<number, WindowMessage>> {
    const windows = new Map<number, WindowMessage>();
    for (const { view: of, message } of await this.outbox()) {
      if (of !== view) continue;
      if ('truncated' in message) windows.clear();
      else windows.set((message.windowEndMs - start) / 1000, message);
    }
    return windows;
  }

  /** Everything that must come out the same, however segments are cut and applied (I6). */
  async everything(): Promise<unknown> {
    return {
      panes: await this.panes(),
      late: (await this.late()).filter(({ count: views, points }) => views !== 0 || points !== 0),
      outbox: await this.outbox(),
      windows: await this.rows('select view, window_end_ms, revision, final, digest from sluice.published_window order by 1, 2'),
      clock: await this.rows('select clock_us, loaded_clock_us, horizon_ms, outbox_seq from sluice.aggregate'),
      fence: await this.rows("select position from sluice.fence where lane = 'aggregate'"),
      dimensions: await this.rows('select dimension, key, position, row from sluice.dimension_version order by 1, 2, 3'),
    };
  }

  async #numbers(sql: string): Promise<readonly Pane[]> {
    const rows = await this.rows(sql);
    return rows.map((row) => ({ ...row, pane_ms: Number(row.pane_ms), count: Number(row.count), points: Number(row.points) })) as unknown as readonly Pane[];
  }
}

const tables = ['fence', 'aggregate', 'published_window', 'load_chunk', 'late', 'dimension_version', 'outbox', 'relay_fence', 'kept_change', 'pane_base', 'retracted_pane'];

export type Pane = { readonly pane_ms: number; readonly key: string; readonly count: number; readonly points: number };
export type WindowMessage = {
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  readonly revision: number;
  readonly final: boolean;
  readonly rows: readonly { rank: number; key: string; measures: Record<string, string | null>; labels: Record<string, string | null> }[];
};
export type Message = { readonly seq: number; readonly view: string; readonly message: WindowMessage | { truncated: true } };
