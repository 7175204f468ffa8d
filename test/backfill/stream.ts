import { setTimeout as sleep } from 'node:timers/promises';
import { AggregateSink } from '../../connectors/aggregate/aggregate-sink.ts';
import { runBackfill, type BackfillLoop } from '../../activities/backfill-loop.ts';
import { BackfillSnapshot } from '../../connectors/postgres/backfill-snapshot.ts';
import { loadBeside } from '../../connectors/postgres/first-load.ts';
import type { Sink } from '../../connectors/sink.ts';
import { PostgresAggregateTables } from '../../connectors/postgres/aggregate/aggregate-tables.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState, type State } from '../../connectors/postgres/state/state.ts';
import { systemClock } from '../../connectors/system-clock.ts';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import { CapturedSource, until } from '../capture/captured-source.ts';
import { throwAwayDatabase } from '../embedded/services.ts';

export const minute = 60_000;
/** Panes of pipeline `trending`. */
export const paneMs = 10_000;

/** Pipeline `trending` on a source of its own: its capture and its aggregate lane run; nothing else does. */
export class Stream implements AsyncDisposable {
  readonly captured: CapturedSource;
  readonly state: State;
  readonly sink: AggregateSink;
  readonly #url: string;
  readonly #stack: AsyncDisposableStack;
  readonly #end = new AbortController();
  readonly #running: Promise<unknown>;

  static async open(): Promise<Stream> {
    const stack = new AsyncDisposableStack();
    const [source, own] = [stack.use(await throwAwayDatabase()), stack.use(await throwAwayDatabase())];
    const captured = stack.use(await CapturedSource.load(source.url, { canaryMs: 100 }));
    const state = stack.adopt(openState(own.url), (pool) => pool.end());
    await migrate(state);
    const sink = new AggregateSink(await PostgresAggregateTables.open(state, captured.pipeline), captured.pipeline);
    await sink.finishLoad(captured.fence);
    return new Stream(source.url, captured, state, sink, stack);
  }

  private constructor(url: string, captured: CapturedSource, state: State, sink: AggregateSink, stack: AsyncDisposableStack) {
    this.#url = url;
    this.captured = captured;
    this.state = state;
    this.sink = sink;
    this.#stack = stack;
    const ended = new Promise<void>((resolve) => this.#end.signal.addEventListener('abort', () => resolve(), { once: true }));
    this.#running = Promise.all([captured.capture(() => ended), this.#apply()]);
    this.#running.catch(() => {});
  }

  /** One view of a post at each of these times. Returns the ids. */
  async write(times: readonly number[], post = 1): Promise<readonly number[]> {
    const { rows } = await this.captured.source.query<{ id: string }>('insert into post_views (post_id, viewed_at) select $2, to_timestamp(ms / 1000.0) from unnest($1::bigint[]) as ms returning id', [times, post]);
    return rows.map(({ id }) => Number(id));
  }

  async posts(count: number): Promise<void> {
    await this.captured.source.query("insert into posts (title) select 'post ' || n from generate_series(1, $1::int) n", [count]);
  }

  /** The aggregate lane has everything that is committed now, and windows up to `ms` are closed. */
  async followed(closedMs = 0): Promise<void> {
    const { rows: [now] } = await this.captured.source.query<{ lsn: string }>("select lpad(to_hex((pg_logical_emit_message(true, 'test', '') - '0/0')::bigint), 16, '0') as lsn");
    await until(async () => {
      await Promise.race([this.#running, sleep(0)]);
      const { rows: [lane] } = await this.state.query<{ position: string; clock_us: string | null }>('select position, clock_us from sluice.fence join sluice.aggregate using (pipeline)');
      return lane!.position.slice(8, 24) > now!.lsn && Number(lane!.clock_us) / 1000 - this.captured.pipeline.settings.watermarkDelayMs >= closedMs;
    }, 'the lane has it');
  }

  backfill(fromMs: number, toMs: number, more: Partial<BackfillLoop> = {}): ReturnType<typeof runBackfill> {
    const { pipeline, signal, chunkRows } = { pipeline: this.captured.pipeline, signal: new AbortController().signal, chunkRows: 200, ...more };
    return runBackfill({
      pipeline,
      name: 'a backfill',
      views: ['trending'],
      rows: new Map(),
      asked: { fromMs, toMs },
      chunkRows,
      rowsPerSecond: undefined,
      durationMs: Number.POSITIVE_INFINITY,
      panes: this.sink,
      take: (left) => BackfillSnapshot.take({ pipeline, sourceUrl: this.#url, epoch: 1, known: undefined, chunkRows, signal }, left),
      clock: systemClock,
      signal,
      onProgress: () => {},
      ...more,
    });
  }

  /** All rows for a lane that is added. */
  loadBeside(sink: Sink, patienceMs: number): ReturnType<typeof loadBeside> {
    return loadBeside({ pipeline: this.captured.pipeline, sourceUrl: this.#url, epoch: 1, shard: this.captured.shard, reached: this.captured.fence, known: undefined, sinks: new Map([['added', sink]]), assertCurrent: async () => {}, signal: this.#end.signal, onProgress: () => {}, patienceMs });
  }

  snapshot(fromMs: number, toMs: number, { patienceMs, known, signal = this.#end.signal }: { readonly patienceMs?: number; readonly known?: SourceColumns; readonly signal?: AbortSignal } = {}): Promise<BackfillSnapshot> {
    return BackfillSnapshot.take({ pipeline: this.captured.pipeline, sourceUrl: this.#url, epoch: 1, known, chunkRows: 200, signal, ...(patienceMs !== undefined && { patienceMs }) }, { fromMs, toMs });
  }

  /** How the panes, with what is late, differ from SQL over the source; empty: not at all. */
  async differences(): Promise<readonly string[]> {
    const panes = await this.#sums(this.state, `select pane_ms, key, sum(n)::int as n from (
      select pane_ms, key, count as n from sluice.panes_trending_trending union all select pane_ms, key, deltas[1] from sluice.late) all_of_them group by 1, 2 having sum(n) <> 0`);
    const source = await this.#sums(this.captured.source as unknown as State, `select (extract(epoch from date_bin('10 s', viewed_at, '1970-01-01Z')) * 1000)::bigint as pane_ms, post_id::text as key, count(*)::int as n from post_views where post_id is not null group by 1, 2`);
    return [...new Set([...panes.keys(), ...source.keys()])].filter((key) => panes.get(key) !== source.get(key)).map((key) => `${key}: ${panes.get(key)} instead of ${source.get(key)}`);
  }

  /** Deltas that are late, in panes of a range. */
  async late(fromMs: number, toMs: number): Promise<number> {
    return (await this.state.query('select from sluice.late where pane_ms >= $1 and pane_ms < $2', [fromMs, toMs])).rows.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#running.catch(() => {});
    await this.#stack.disposeAsync();
  }

  async #apply(): Promise<void> {
    let fence = this.captured.fence;
    while (!this.#end.signal.aborted) {
      const segments = await this.captured.log.read(fence, { maxRows: 10_000 }, this.#end.signal);
      if (segments.length === 0) continue;
      const { to } = segments.at(-1)!.header;
      await this.sink.apply(segments, fence, to);
      this.captured.log.release(segments);
      this.captured.fence = fence = to;
    }
  }

  async #sums(client: Pick<State, 'query'>, sql: string): Promise<ReadonlyMap<string, number>> {
    const { rows } = await client.query<{ pane_ms: string; key: string; n: number }>(sql);
    return new Map(rows.map(({ pane_ms, key, n }) => [`${pane_ms} ${key}`, n]));
  }
}
