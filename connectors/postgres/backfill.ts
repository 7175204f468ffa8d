import { randomBytes } from 'node:crypto';
import { Client, DatabaseError } from 'pg';
import { eventsTable } from '../../core/capture/assembler.ts';
import { pause, type Clock } from '../../core/clock.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { position, type Position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import { firstChunk, isOpen, nextLength } from '../../core/views/rebuilding.ts';
import { SnapshotFold } from '../../core/views/snapshot-fold.ts';
import type { AggregateSink } from '../aggregate/aggregate-sink.ts';
import type { Rebuilt, Replaced } from '../aggregate/rebuild.ts';
import { ConfigurationError, type Sink } from '../sink.ts';
import { poisonIfTooLarge } from '../sum-poison.ts';
import { firstLength, within } from './backfill-estimate.ts';
import { emitCanary } from './canary.ts';
import { classifyPostgresError } from './errors.ts';
import { textSettings } from './replication-stream.ts';
import { fileNodes, SnapshotReader, sourceClockUs, TableRewritten, type FileNodes } from './snapshot-reader.ts';
import { createSnapshotSlot, type SnapshotSlot } from './snapshot-slot.ts';

/** A destination whose rows are versioned by position: at the snapshot's they win over older ones, and newer ones over them. */
export type RangeSink = Pick<Sink, 'readFence'> & {
  /** Rows of a snapshot; repeating is harmless. */
  load(rows: Segment): Promise<void>;
  /** After all rows of the range were loaded, and the lane has passed `base`: what is there besides is gone. */
  finish(range: PaneRange, base: Position): Promise<void>;
};

export type BackfillOptions = {
  readonly pipeline: Pipeline;
  readonly sourceUrl: string;
  /** Of the pipeline's first load. */
  readonly epoch: number;
  /** Under which its panes are marked: nobody else's, and the same in each attempt. */
  readonly name: string;
  /** None: only rows. */
  readonly views: readonly string[];
  /** Destinations whose rows of that time are written anew, by lane. */
  readonly rows: ReadonlyMap<string, RangeSink>;
  readonly asked: PaneRange;
  /** About so many rows are read in one transaction of the source. */
  readonly chunkRows: number;
  /** At most so many a second; undefined: as fast as it goes. */
  readonly rowsPerSecond: number | undefined;
  readonly panes: Pick<AggregateSink, 'readFence' | 'markRebuild' | 'replacePanes'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** `range`: what was left at the beginning of this snapshot; panes before `doneToMs` are done. `rows`: read so far. */
  readonly onProgress: (progress: { readonly phase: string; readonly range: PaneRange; readonly doneToMs: number; readonly rows: number }) => void;
};

/**
 * Computes the panes of closed windows anew from the source, while the stream goes on (E17-E19): they are marked, a snapshot is
 * taken, and each chunk of whole panes is read in a short transaction and takes the place of what was there. Nothing but
 * what is marked survives a failure; the next attempt takes another snapshot, for the chunks that are left.
 */
export async function backfill(options: BackfillOptions): Promise<{ readonly rows: number }> {
  let rows = 0;
  for (;;) {
    const { panes, name, views, asked, signal } = options;
    const left = await panes.markRebuild(name, views, asked);
    if (!isOpen(left)) return { rows };
    const attempt = new Attempt(options, left, rows);
    const outcome = await attempt.run();
    rows = attempt.rows;
    if (outcome === 'gone') throw new ConfigurationError(`Backfill ${name} of ${options.pipeline.name} is over: it was ended, or the pipeline is being loaded anew, which computes every window. See ./sluice status.`);
    if (signal.aborted) throw signal.reason;
  }
}

/** With one snapshot. */
class Attempt {
  readonly #options: BackfillOptions;
  readonly #left: PaneRange;
  readonly #rowsBefore: number;
  #reader: SnapshotReader | undefined;
  #doneToMs: number;

  constructor(options: BackfillOptions, left: PaneRange, rowsBefore: number) {
    this.#options = options;
    this.#left = left;
    this.#rowsBefore = rowsBefore;
    this.#doneToMs = left.fromMs;
  }

  get rows(): number {
    return this.#rowsBefore + (this.#reader?.rows ?? 0);
  }

  /** done: nothing is left, or another snapshot is needed for the rest. */
  async run(): Promise<Extract<Replaced, 'done' | 'gone'>> {
    const { pipeline, sourceUrl, signal } = this.#options;
    const source = new Client({ connectionString: sourceUrl, application_name: `sluice ${pipeline.name} backfill`, connectionTimeoutMillis: 10_000, keepAlive: true, options: `${textSettings} -c lock_timeout=10s` });
    source.on('error', () => {});
    await source.connect();
    let slot: SnapshotSlot | undefined;
    try {
      const files = await this.#files(source);
      this.#tell('waiting for running write transactions of the source');
      slot = await createSnapshotSlot({ url: sourceUrl, slot: `sluice_backfill_${randomBytes(6).toString('hex')}`, temporary: true, applicationName: `sluice ${pipeline.name} backfill snapshot`, signal, timeoutMs: waitForWritersMs });
      // the lane comes to that place with what follows it, which on a quiet source may take long
      await emitCanary(source, pipeline.name);
      return await Promise.race([this.#read(source, slot, files), slot.lost]);
    } catch (error) {
      if (error instanceof TableRewritten) return 'done';
      throw error instanceof DatabaseError ? classifyPostgresError('source', error) : error;
    } finally {
      await slot?.close();
      await source.end().catch(() => {});
    }
  }

  async #read(source: Client, slot: SnapshotSlot, files: FileNodes): Promise<'done' | 'gone'> {
    const { pipeline, epoch, views, chunkRows, signal } = this.#options;
    const { events, dimensions } = pipeline.source;
    const reader = (this.#reader = new SnapshotReader({ pipeline, epoch, source, slot, files, commitTimeUs: await sourceClockUs(source), captureId: 'backfill', signal }));
    // events are enriched with them, as they are at the snapshot
    for (const [name, { relation }] of Object.entries(dimensions)) for await (const _ of reader.read(name, { relation, only: false, where: 'true' }));
    const sets = paneSetsOf(pipeline).filter((set) => set.views.some(({ name }) => views.includes(name)));
    const fold = new SnapshotFold(pipeline, sets);
    const { hasIndex, lengthMs: firstLengthMs } = await firstLength(source, pipeline, this.#left, chunkRows);
    let lengthMs = firstLengthMs;
    for (let left = this.#left; isOpen(left); ) {
      const range = firstChunk(left, sets, lengthMs);
      const startedMs = this.#options.clock.steady();
      const rowsBefore = reader.rows;
      this.#tell('reading');
      for await (const rows of reader.read(eventsTable, { relation: events.relation, only: false, where: within(pipeline, range) })) {
        fold.add(rows);
        for (const sink of this.#options.rows.values()) await sink.load(rows);
      }
      const base = position(epoch, slot.consistentPoint, 0);
      for (const [lane, sink] of this.#options.rows) {
        await this.#passed(lane, sink, base);
        await sink.finish(range, base);
      }
      const outcome = await this.#replace({ range, base, panes: poisonIfTooLarge(() => fold.take()) });
      if (outcome === 'gone') return 'gone';
      // the table was emptied since: another snapshot shows that
      if (outcome === 'void') return 'done';
      left = { ...left, fromMs: range.toMs };
      this.#doneToMs = range.toMs;
      if (hasIndex) lengthMs = nextLength(range.toMs - range.fromMs, reader.rows - rowsBefore, chunkRows);
      await this.#pace(reader.rows - rowsBefore, startedMs);
    }
    return 'done';
  }

  async #replace(chunk: Rebuilt): Promise<Replaced> {
    const { panes, name } = this.#options;
    for (;;) {
      await this.#passed('aggregate', panes, chunk.base);
      const outcome = await panes.replacePanes(name, chunk);
      if (outcome !== 'behind') return outcome;
    }
  }

  /** A lane has applied everything that is in the snapshot. */
  async #passed(lane: string, sink: Pick<Sink, 'readFence'>, base: Position): Promise<void> {
    const { clock, signal } = this.#options;
    while (((await sink.readFence()) ?? base) < base) {
      this.#tell(`waiting for lane ${lane} to pass the snapshot`);
      await pause(clock, lookMs, signal);
      if (signal.aborted) throw signal.reason;
    }
  }

  async #pace(rows: number, startedMs: number): Promise<void> {
    const { rowsPerSecond, clock, signal } = this.#options;
    if (rowsPerSecond !== undefined) await pause(clock, (rows * 1000) / rowsPerSecond - (clock.steady() - startedMs), signal);
    if (signal.aborted) throw signal.reason;
  }

  async #files(source: Client): Promise<FileNodes> {
    const { events, dimensions } = this.#options.pipeline.source;
    const files = new Map<string, string>();
    for (const { relation } of [events, ...Object.values(dimensions)]) {
      const nodes = await fileNodes(source, relation);
      if (nodes === undefined) throw new ConfigurationError(`Table ${relation} does not exist in the source. Create it, or correct the pipeline's definition.`);
      files.set(relation, nodes);
    }
    return files;
  }

  #tell(phase: string): void {
    this.#options.onProgress({ phase, range: this.#left, doneToMs: this.#doneToMs, rows: this.rows });
  }
}

/** How long the slot may wait for write transactions of the source that are still running (E17). */
const waitForWritersMs = 300_000;
const lookMs = 50;
