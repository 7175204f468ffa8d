import { AskedFences } from '../../activities/asked-fences.ts';
import { runBackfill } from '../../activities/backfill-loop.ts';
import { runLane } from '../../activities/lane-loop.ts';
import { captureStart, segmentLanes } from '../../activities/capture-start.ts';
import { rangeSink } from '../../activities/range-sink.ts';
import { runRelay } from '../../activities/relay-loop.ts';
import { rewriteRows } from '../../activities/rewrite-rows.ts';
import { rewrittenSink } from '../../activities/rewritten-sink.ts';
import { Seats } from '../../activities/seats.ts';
import { noRecord, type ColumnRecord } from '../../connectors/postgres/column-watch.ts';
import { AggregateSink } from '../../connectors/aggregate/aggregate-sink.ts';
import { ClickHouseSink, sinkTable } from '../../connectors/clickhouse/clickhouse-sink.ts';
import { HttpSink } from '../../connectors/http/http-sink.ts';
import { capture } from '../../connectors/postgres/capture.ts';
import { dimensionsAt } from '../../connectors/postgres/dimensions-at.ts';
import { type Between, Standing } from '../../connectors/postgres/standing.ts';
import type { Confirmed } from '../../connectors/postgres/shard-state.ts';
import { spoolUndecided } from '../../connectors/postgres/undecided-capture.ts';
import { RedisLiveSink } from '../../connectors/redis/live.ts';
import type { Sink } from '../../connectors/sink.ts';
import type { Files } from '../../connectors/spool/files.ts';
import type { Appender, SegmentLog } from '../../connectors/spool/segment-log.ts';
import { openSegmentLog } from '../../connectors/spool/open-segment-log.ts';
import { pause } from '../../core/clock.ts';
import { planMigration } from '../../core/migration/plan.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { StaleRange } from '../../core/repair.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { spoolDirectory, undecidedDirectory } from './check.ts';
import { Violation } from './compare.ts';
import type { Part } from './plan.ts';
import type { SimulatedProcess } from './scheduler.ts';
import { takeSnapshot } from './snapshot.ts';
import { systemIdentifier } from './source-server.ts';
import type { World } from './world.ts';

/** What the workflow knows. `number`: of the last migration that is over; `undecided`: of the one that the capture waits for. */
type Known = { readonly number: number; readonly undecided: number | undefined };

type OpenSink = { readonly sink: Sink; readonly rebuild?: () => Promise<Position> };

/** A worker process: the product's own steps, over what it sees of the world. */
export class Worker {
  readonly process: SimulatedProcess;
  readonly #world: World;
  readonly #pipeline: Pipeline;
  readonly #seats = new Seats();
  readonly #standing: Standing;
  readonly #sinks = new Map<string, OpenSink>();
  readonly #files: Files;
  #log: Promise<SegmentLog & Appender> | undefined;
  /** What comes while a change of columns waits. */
  #undecidedLog: Promise<SegmentLog & Appender> | undefined;
  /** Fences of the lanes that run here. */
  readonly #fences = new Map<string, Position>();
  readonly #asked = new AskedFences();

  constructor(world: World, process: SimulatedProcess) {
    this.#world = world;
    this.#pipeline = world.pipeline;
    this.process = process;
    this.#files = world.disk.filesOf(process);
    this.#standing = new Standing(process.clock);
  }

  /** One step of a part, as its activity runs it. */
  async step(part: Part, asked: AbortSignal, { number, undecided }: Known): Promise<string> {
    const end = new AbortController();
    asked.addEventListener('abort', () => end.abort(), { once: true });
    if (asked.aborted) end.abort();
    const leave = await this.#seats.take(part, () => end.abort());
    const stop = this.process.clock.after(this.#pipeline.settings.stepMs, () => end.abort());
    try {
      if (part === 'capture' && undecided !== undefined) return await this.#keepUndecided(number, undecided, end.signal);
      if (part === 'capture') return await this.#standing.step((between) => this.#capture(number, end.signal, between));
      if (part === 'out') return await this.#relay(end.signal);
      return await this.#lane(part, number, end.signal);
    } finally {
      this.#fences.delete(part);
      stop();
      leave();
    }
  }

  async #capture(number: number, signal: AbortSignal, between: Between): Promise<string> {
    const { state, hasRenames } = this.#world;
    const { changes } = state;
    const { pipeline, shape } = changes.definition(number);
    if (hasRenames && (await state.call(this.process, () => changes.due(number))) !== undefined) return 'changed';
    const before = await state.call(this.process, () => state.confirmed);
    const log = await this.#segments();
    const lanes = segmentLanes(this.#pipeline);
    const { fences: asked, ...begin } = await captureStart({ pipeline: this.#pipeline, clock: this.process.clock, log, epoch: 1, loadedAt: this.#world.start, confirmedTo: before?.to, readFence: (lane) => this.#open(lane).sink.readFence(), noteRebuilds: () => state.call(this.process, () => void (state.rebuildsNoted += 1)) });
    if (hasRenames && begin.after === undefined) await state.call(this.process, () => changes.assertNotBefore(begin.start));
    for (const [lane, fence] of asked) this.#asked.asked(lane, fence, this.#told(lane));
    const { reason } = await capture({
      pipeline,
      log,
      ...this.#reading(),
      columns: hasRenames ? await this.#columns(shape) : noRecord,
      undecided: hasRenames && (await this.#hasUndecided()) ? await this.#undecided() : undefined,
      ...begin,
      dimensionsAt: (at) => dimensionsAt(state.versionsFor(this.process), log, this.#pipeline, at),
      fences: () => new Map(lanes.map((lane) => [lane, this.#asked.fence(lane, this.#told(lane))])),
      signal,
      onProgress: () => {},
      ...between,
    });
    return reason;
  }

  /** While a change waits, as its activity does. */
  async #keepUndecided(number: number, undecided: number, signal: AbortSignal): Promise<string> {
    const { state, plan } = this.#world;
    const { changes } = state;
    await this.#standing.end();
    const { due, change } = await state.call(this.process, () => ({ due: changes.due(number), change: changes.change(undecided) }));
    if (due !== undecided) return 'changed';
    const log = await this.#segments();
    const tail = await log.tail();
    // the spool is lost
    if (!tail || tail.to < change.position!) return untilAborted(signal);
    const { pipeline } = changes.definition(number);
    return spoolUndecided({
      // small segments: of some rows, and of parts of transactions
      pipeline: { ...pipeline, settings: { ...pipeline.settings, segmentBytes: plan.knobs.segmentRows * 60 } },
      log,
      ...this.#reading(),
      undecided: await this.#undecided(),
      tail: tail.to,
      fences: () => new Map(segmentLanes(pipeline).map((lane) => [lane, this.#told(lane)])),
      signal,
      onProgress: () => {},
    });
  }

  /** Who reads the source's stream, and what is on record of how far. */
  #reading() {
    const { state, source } = this.#world;
    return {
      connect: () => source.connect(this.process),
      clock: this.process.clock,
      captureId: `${this.process.name}-${this.#world.nextCapture++}`,
      shard: { epoch: 1, systemIdentifier },
      readConfirmed: () => state.call(this.process, () => state.confirmed),
      recordConfirmed: (confirmed: Confirmed) =>
        state.call(this.process, () => {
          const { lsn, to } = state.confirmed ?? confirmed;
          state.confirmed = { lsn: lsn > confirmed.lsn ? lsn : confirmed.lsn, to: to > confirmed.to ? to : confirmed.to, timeline: confirmed.timeline };
        }),
    };
  }

  async #columns(shape: ColumnRecord['shape']): Promise<ColumnRecord> {
    const { state } = this.#world;
    const { changes } = state;
    return {
      shape,
      known: await state.call(this.process, () => changes.columns),
      concerns: (found) => planMigration(this.#pipeline, shape.columns, found).verdict !== 'nothing',
      keep: (columns) => state.call(this.process, () => void (changes.columns ??= columns)),
      record: (found) => state.call(this.process, () => changes.record({ ...found, shape: shape.number })),
    };
  }

  /** What is told of a lane, here or elsewhere. */
  #told(lane: string): Position | undefined {
    return this.#fences.get(lane) ?? this.#world.reported.get(lane);
  }

  async #lane(lane: string, number: number, signal: AbortSignal): Promise<string> {
    const log = await this.#segments();
    const open = this.#open(lane);
    try {
      return await runLane({
        pipeline: this.#pipeline.name,
        name: lane,
        sink: open.sink,
        rebuild: open.rebuild,
        log,
        shape: number,
        // nobody refuses an event here
        letters: { keep: () => Promise.reject(new Violation(`${lane} refused an event`)), passed: () => {}, voidBelow: (position) => this.#world.state.call(this.process, () => void this.#world.state.voided.set(lane, position)) },
        key: this.#pipeline.source.events.key,
        gatherMs: lane === 'enriched' || lane === 'external' ? 60 : 0,
        maxRows: this.#world.plan.knobs.applyRows,
        limit: this.#pipeline.sinks[lane]?.kind === 'redis-live' ? { events: Math.ceil(this.#world.plan.knobs.applyRows / 3), applied: () => {} } : undefined,
        clock: this.process.clock,
        signal,
        onFence: (fence) => this.#report(lane, fence),
        onApplied: () => {},
      });
    } catch (error) {
      // a destination that failed is opened anew
      this.#sinks.delete(lane);
      throw error;
    }
  }

  async #relay(signal: AbortSignal): Promise<string> {
    const { state } = this.#world;
    return runRelay({
      name: 'out',
      relay: state.relayFor(this.process, 'tumble'),
      readOutbox: (after, limit) => state.call(this.process, () => state.outbox.filter(({ seq }) => seq > after).slice(0, limit)),
      newest: () => state.call(this.process, () => state.aggregate.outboxSeq),
      reached: async () => undefined,
      wait: (waitSignal) => pause(this.process.clock, 700, waitSignal),
      signal,
      onPublished: () => {},
    });
  }

  /** As its activity runs it. */
  async backfill(name: string, asked: PaneRange, views: readonly string[], signal: AbortSignal): Promise<boolean> {
    const { source } = this.#world;
    const { isDone } = await runBackfill({
      pipeline: this.#pipeline,
      name,
      views,
      // a repair of one set of panes has no need of rows that another's has written
      rows: new Map(views.includes('tumble') ? [['enriched', this.#versioned('enriched').range]] : []),
      asked,
      yields: name.startsWith('repair'),
      chunkRows: 10,
      rowsPerSecond: undefined,
      durationMs: 1_000,
      panes: this.#aggregate(),
      take: () => takeSnapshot(this.#pipeline, source, this.process),
      clock: this.process.clock,
      signal,
      onProgress: () => {},
    });
    return isDone;
  }

  /** Likewise all rows of the versioned table. */
  async rewrite(name: string, signal: AbortSignal): Promise<boolean> {
    const { source } = this.#world;
    const { rows, range } = this.#versioned('enriched');
    await rewriteRows({
      lane: 'enriched',
      sink: rewrittenSink(name, rows, range, { rewritten: async () => {} }),
      take: () => takeSnapshot(this.#pipeline, source, this.process),
      assertCurrent: async () => {},
      clock: this.process.clock,
      signal,
      onProgress: () => {},
    });
    return true;
  }

  stale(): Promise<readonly StaleRange[]> {
    return this.#aggregate().stale();
  }

  async endBackfill(name: string): Promise<boolean> {
    await this.#aggregate().endRebuild(name);
    return true;
  }

  /** Of its own: the lane's is the lane's. */
  #versioned(lane: string) {
    const { state } = this.#world;
    const table = this.#pipeline.sinks[lane];
    if (table?.kind !== 'clickhouse') throw new TypeError(`${lane} is a table of versions`);
    const rows = new ClickHouseSink(lane, sinkTable(this.#pipeline, table), this.#world.rows.seenBy(this.process));
    const range = rangeSink(this.#pipeline, lane, rows, { voidedBelow: () => state.call(this.process, () => state.voided.get(lane)), waitingBelow: async () => 0 });
    return { rows, range };
  }

  #aggregate(): AggregateSink {
    return new AggregateSink(this.#world.state.aggregateTables(this.process), this.#pipeline);
  }

  /** What other processes know of a fence comes later. */
  #report(lane: string, fence: Position): void {
    this.#fences.set(lane, fence);
    void this.process.io(() => void this.#world.reported.set(lane, fence));
  }

  #segments(): Promise<SegmentLog & Appender> {
    if (!this.#log) {
      const opened = openSegmentLog({ directory: '/spool', shard: this.#pipeline.name, cacheBytes: this.#world.plan.knobs.cacheBytes, clock: this.process.clock, files: this.#files });
      this.#log = opened;
      opened.catch(() => (this.#log = undefined));
    }
    return this.#log;
  }

  #undecided(): Promise<SegmentLog & Appender> {
    if (!this.#undecidedLog) {
      const opened = openSegmentLog({ directory: spoolDirectory, shard: 'undecided', cacheBytes: 0, clock: this.process.clock, files: this.#files });
      this.#undecidedLog = opened;
      opened.catch(() => (this.#undecidedLog = undefined));
    }
    return this.#undecidedLog;
  }

  async #hasUndecided(): Promise<boolean> {
    return this.#undecidedLog !== undefined || (await this.#files.names(undecidedDirectory)).length > 0;
  }

  #open(lane: string): OpenSink {
    let open = this.#sinks.get(lane);
    if (!open) this.#sinks.set(lane, (open = this.#make(lane)));
    return open;
  }

  #make(lane: string): OpenSink {
    const { state, rows, live, receiver } = this.#world;
    if (lane === 'aggregate') return { sink: this.#aggregate() };
    const definition = this.#pipeline.sinks[lane];
    switch (definition?.kind) {
      case 'clickhouse':
        return { sink: new ClickHouseSink(lane, sinkTable(this.#pipeline, definition), rows.seenBy(this.process)) };
      case 'redis-live': {
        const sink = new RedisLiveSink(this.#pipeline, definition, live.seenBy(this.process), () => state.paneSnapshot(this.process, definition.view), state.rebuildsFor(this.process));
        return { sink, rebuild: () => sink.rebuild() };
      }
      case 'http':
        return { sink: new HttpSink(this.#pipeline, lane, definition, { pending: state.pendingFor(this.process, lane), poster: receiver.seenBy(this.process) }) };
      default:
        throw new TypeError(`${lane} reads no segments`);
    }
  }
}

async function untilAborted(signal: AbortSignal): Promise<string> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  return 'stopped';
}
