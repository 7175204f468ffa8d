import { randomBytes } from 'node:crypto';
import { Client, DatabaseError } from 'pg';
import { eventsTable } from '../../core/capture/assembler.ts';
import { killPoint } from '../../core/kill-point.ts';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import type { Pipeline, Table } from '../../core/pipeline.ts';
import { lsnText, position, type Position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import type { Sink } from '../sink.ts';
import { untilItPasses } from '../until-it-passes.ts';
import { emitCanary } from './canary.ts';
import { keptAlive } from './keep-alive.ts';
import { leave } from './leave.ts';
import { readTimeline } from './postgres-source.ts';
import { dropSlot } from './drop-from-source.ts';
import { classifyPostgresError } from './errors.ts';
import { assertNotSetBack, assertSameSource } from './same-stream.ts';
import type { Loaded, ShardState } from './shard-state.ts';
import type { SnapshotSlot } from './snapshot-slot.ts';
import { textSettings } from './replication-stream.ts';
import { SnapshotReader, sourceClockUs, type FileNodes } from './snapshot-reader.ts';
import { createSnapshotSlot } from './snapshot-slot.ts';
import { ensurePublication, readSourceCatalog, sourceNames } from './source-catalog.ts';
import { leafFiles, piecesOf } from './whole-tables.ts';

export type FirstLoadOptions = {
  readonly pipeline: Pipeline;
  readonly sourceUrl: string;
  /** Greater than the epoch of every load before. */
  readonly epoch: number;
  /** By lane; the aggregate lane comes first, because others are built from its panes. */
  readonly sinks: ReadonlyMap<string, Sink>;
  /** Throws when a later load has begun: asked before every piece that a sink gets. */
  readonly assertCurrent: () => Promise<void>;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: { phase: string; rows: number }) => void;
  /** Another attempt of the same load may have left rows. */
  readonly again?: true;
};

/**
 * The first load of a pipeline (E28): the permanent slot's snapshot is read in short transactions and given to every
 * sink, at position (epoch, S, 0); streaming then begins exactly there. Nothing of it survives a failure but an epoch that
 * is used up: the next attempt starts over. The slot goes with it, and after a crash with the next attempt: there may be
 * none until a person has mended something, and the source would keep its WAL for nobody.
 */
export async function firstLoad(options: FirstLoadOptions): Promise<Loaded & { rows: number; columns: SourceColumns }> {
  const { pipeline, sourceUrl, onProgress } = options;
  const source = new Client({ connectionString: sourceUrl, application_name: `sluice ${pipeline.name} load`, connectionTimeoutMillis: 10_000, ...keptAlive, options: textSettings });
  source.on('error', () => {});
  await source.connect();
  let slot: SnapshotSlot | undefined;
  try {
    const catalog = await readSourceCatalog(source, pipeline, { columns: true });
    const { timeline } = await readTimeline(sourceUrl, undefined, `sluice ${pipeline.name} timeline`);
    await ensurePublication(source, pipeline);
    // a load that stood still until here must not end the one that has taken its place, nor drop its slot
    await options.assertCurrent();
    await endOtherLoads(source, pipeline.name);
    // of a load that was lost, or of a pipeline that is loaded anew
    await dropSlot(source, sourceNames(pipeline.name).slot);
    onProgress({ phase: 'waiting for running write transactions of the source', rows: 0 });
    const files = await leafFiles(source, pipeline);
    slot = await createSnapshotSlot({ url: sourceUrl, slot: sourceNames(pipeline.name).slot, temporary: false, applicationName: snapshotName(pipeline.name), signal: options.signal, timeoutMs: waitForWritersMs });
    const loader = new Loader(options, source, slot, files, catalog.columns, await sourceClockUs(source));
    const { rows, at } = await loader.run();
    return { position: at, rows, systemIdentifier: catalog.systemIdentifier, timeline, tables: catalog.tables, columns: catalog.columns };
  } catch (error) {
    if (slot) await dropOwnSlot(options, slot);
    // sinks have said what theirs mean
    throw error instanceof DatabaseError ? classifyPostgresError('source', error) : error;
  } finally {
    await slot?.close();
    await leave(source);
  }
}

type LoadBeside = Omit<FirstLoadOptions, 'again'> & {
  readonly shard: Pick<ShardState, 'systemIdentifier'>;
  /** What the stream has already: the snapshot must have it too. */
  readonly reached: Position;
  /** The columns that rows are to be read from. */
  readonly known: SourceColumns | undefined;
  /** As in BackfillSource. */
  readonly patienceMs?: number;
};

/** What lanes that are added to a pipeline begin with (E20): `position` is their fence then. */
export type Joined = { readonly position: Position; readonly rows: number };

/**
 * Gives sinks that are added to a pipeline all rows of the source, while its stream goes on: as a first load does, by the snapshot of a temporary
 * slot. Nothing of it survives a failure: the next attempt starts over, later in the stream, and buries
 * what this one has left.
 */
export async function loadBeside(options: LoadBeside): Promise<Joined> {
  const { pipeline, sourceUrl, shard, reached, onProgress, signal, patienceMs = 120_000 } = options;
  const source = new Client({ connectionString: sourceUrl, application_name: `sluice ${pipeline.name} backfill`, connectionTimeoutMillis: 10_000, ...keptAlive, options: `${textSettings} -c lock_timeout=10s -c idle_in_transaction_session_timeout=${patienceMs} -c tcp_user_timeout=${patienceMs}` });
  source.on('error', () => {});
  await source.connect();
  let slot: SnapshotSlot | undefined;
  try {
    // a place of another stream would be passed too soon, or never
    assertSameSource(pipeline.name, shard, await readSourceCatalog(source, pipeline));
    onProgress({ phase: 'waiting for running write transactions of the source', rows: 0 });
    const files = await leafFiles(source, pipeline);
    slot = await createSnapshotSlot({ url: sourceUrl, slot: `sluice_backfill_${randomBytes(6).toString('hex')}`, temporary: true, applicationName: `sluice ${pipeline.name} backfill snapshot`, signal, timeoutMs: waitForWritersMs });
    assertNotSetBack(pipeline.name, reached, slot.consistentPoint);
    // the stream is to come beyond it, also where nobody writes
    await emitCanary(source, pipeline.name);
    const loader = new Loader({ ...options, again: true }, source, slot, files, options.known, await sourceClockUs(source));
    const { rows, at } = await loader.run();
    return { position: at, rows };
  } catch (error) {
    throw error instanceof DatabaseError ? classifyPostgresError('source', error) : error;
  } finally {
    await slot?.close();
    await leave(source);
  }
}

/** How long the slot may wait for write transactions of the source that are still running (E17). */
const waitForWritersMs = 300_000;

class Loader {
  readonly #options: FirstLoadOptions;
  readonly #source: Client;
  readonly #slot: SnapshotSlot;
  readonly #reader: SnapshotReader;
  #chunk = 0;

  constructor(options: FirstLoadOptions, source: Client, slot: SnapshotSlot, files: FileNodes, known: SourceColumns | undefined, commitTimeUs: number) {
    const { pipeline, epoch, signal } = options;
    this.#options = options;
    this.#source = source;
    this.#slot = slot;
    this.#reader = new SnapshotReader({ pipeline, epoch, source, slot, files, known, commitTimeUs, captureId: 'first load', signal });
  }

  async run(): Promise<{ readonly rows: number; readonly at: Position }> {
    const { epoch, sinks, again, onProgress } = this.#options;
    const rows = await Promise.race([this.#tables(), this.#slot.lost]);
    const at = position(epoch, this.#slot.consistentPoint, 0);
    for (const [name, sink] of sinks) {
      onProgress({ phase: `finishing ${name}`, rows });
      await this.#options.assertCurrent();
      await untilItPasses(this.#options, () => sink.finishLoad(at, again));
    }
    return { rows, at };
  }

  async #tables(): Promise<number> {
    const { events, dimensions } = this.#options.pipeline.source;
    // dimensions first: events are enriched with them
    for (const [name, table] of Object.entries(dimensions)) await this.#table(name, table);
    await this.#table(eventsTable, events);
    return this.#reader.rows;
  }

  async #table(name: string, table: Table): Promise<void> {
    for await (const piece of piecesOf(this.#source, table.relation)) {
      if (this.#options.signal.aborted) throw this.#options.signal.reason;
      for await (const segment of this.#reader.read(name, piece)) await this.#give(segment);
      this.#options.onProgress({ phase: `reading ${table.relation}`, rows: this.#reader.rows });
    }
  }

  async #give(segment: Segment): Promise<void> {
    const chunk = this.#chunk++;
    await this.#options.assertCurrent();
    for (const [lane, sink] of this.#options.sinks) await untilItPasses(this.#options, () => sink.load(segment, chunk).then(() => killPoint('load/chunk', lane)));
  }
}

function snapshotName(pipeline: string): string {
  return `sluice ${pipeline} snapshot`;
}

/** A load whose worker was given up may still hold its snapshot. */
async function endOtherLoads(source: Client, pipeline: string): Promise<void> {
  await source.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = $1 and usename = current_user and datname = current_database()', [snapshotName(pipeline)]);
}

/**
 * Best effort, on a connection of its own: that of the load may be what failed. A load that has begun since may have made
 * its slot under the same name; but nobody streams from ours, so it still stands at its own consistent point.
 */
async function dropOwnSlot({ pipeline, sourceUrl }: FirstLoadOptions, slot: SnapshotSlot): Promise<void> {
  await slot.close();
  const source = new Client({ connectionString: sourceUrl, application_name: `sluice ${pipeline.name} load`, connectionTimeoutMillis: 5_000, query_timeout: 5_000 });
  source.on('error', () => {});
  try {
    await source.connect();
    await source.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and confirmed_flush_lsn = $2 and not active', [sourceNames(pipeline.name).slot, lsnText(slot.consistentPoint)]);
  } catch {
    // the next attempt drops it
  } finally {
    await leave(source);
  }
}
