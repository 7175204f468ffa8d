import { randomBytes } from 'node:crypto';
import { Client, DatabaseError } from 'pg';
import { eventsTable } from '../../core/capture/assembler.ts';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { position, type Position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { ConfigurationError } from '../sink.ts';
import { firstLength, within } from './backfill-estimate.ts';
import { emitCanary } from './canary.ts';
import { classifyPostgresError } from './errors.ts';
import { keptAlive } from './keep-alive.ts';
import { leave } from './leave.ts';
import { textSettings } from './replication-stream.ts';
import { fileNodes, SnapshotReader, sourceClockUs, type FileNodes } from './snapshot-reader.ts';
import { createSnapshotSlot, type SnapshotSlot } from './snapshot-slot.ts';

export type BackfillSource = {
  readonly pipeline: Pipeline;
  readonly sourceUrl: string;
  /** Of the pipeline's first load. */
  readonly epoch: number;
  readonly known: SourceColumns | undefined;
  readonly chunkRows: number;
  readonly signal: AbortSignal;
  /** A reader that stands still for longer loses its connection, so that its lock does not hold up whoever alters the table. */
  readonly patienceMs?: number;
};

/** Rows of the source by event time, as they were at a temporary slot's consistent point, with the dimensions as they were there. */
export class BackfillSnapshot {
  readonly base: Position;
  readonly lengthMs: number;
  readonly isEven: boolean;
  readonly #pipeline: Pipeline;
  readonly #source: Client;
  readonly #slot: SnapshotSlot;
  readonly #reader: SnapshotReader;

  /** Waits for the source's running write transactions, at most five minutes. */
  static async take({ pipeline, sourceUrl, epoch, known, chunkRows, signal, patienceMs = 120_000 }: BackfillSource, left: PaneRange): Promise<BackfillSnapshot> {
    const source = new Client({ connectionString: sourceUrl, application_name: `sluice ${pipeline.name} backfill`, connectionTimeoutMillis: 10_000, ...keptAlive, options: `${textSettings} -c lock_timeout=10s -c idle_in_transaction_session_timeout=${patienceMs} -c tcp_user_timeout=${patienceMs}` });
    source.on('error', () => {});
    await source.connect();
    let slot: SnapshotSlot | undefined;
    try {
      const files = await filesOf(source, pipeline);
      slot = await createSnapshotSlot({ url: sourceUrl, slot: `sluice_backfill_${randomBytes(6).toString('hex')}`, temporary: true, applicationName: `sluice ${pipeline.name} backfill snapshot`, signal, timeoutMs: waitForWritersMs });
      // lanes come to that place with what follows it, which on a quiet source may take long
      await emitCanary(source, pipeline.name);
      const reader = new SnapshotReader({ pipeline, epoch, source, slot, files, known, commitTimeUs: await sourceClockUs(source), captureId: 'backfill', mostRows, signal });
      // events are enriched with them
      for (const [name, { relation }] of Object.entries(pipeline.source.dimensions)) for await (const _ of reader.read(name, { relation, only: false, where: 'true' }));
      return new BackfillSnapshot(pipeline, source, slot, reader, position(epoch, slot.consistentPoint, 0), await firstLength(source, pipeline, left, chunkRows));
    } catch (error) {
      await slot?.close();
      await leave(source);
      throw said(error);
    }
  }

  private constructor(pipeline: Pipeline, source: Client, slot: SnapshotSlot, reader: SnapshotReader, base: Position, { lengthMs, hasIndex }: Awaited<ReturnType<typeof firstLength>>) {
    this.#pipeline = pipeline;
    this.#source = source;
    this.#slot = slot;
    this.#reader = reader;
    this.base = base;
    this.lengthMs = lengthMs;
    this.isEven = !hasIndex;
  }

  get rows(): number {
    return this.#reader.rows;
  }

  get lost(): Promise<never> {
    return this.#slot.lost;
  }

  async *read(range: PaneRange): AsyncGenerator<Segment> {
    try {
      yield* this.#reader.read(eventsTable, { relation: this.#pipeline.source.events.relation, only: false, where: within(this.#pipeline, range) });
    } catch (error) {
      throw said(error);
    }
  }

  async close(): Promise<void> {
    await this.#slot.close();
    await leave(this.#source);
  }
}

async function filesOf(source: Client, { source: { events, dimensions } }: Pipeline): Promise<FileNodes> {
  const files = new Map<string, string>();
  for (const { relation } of [events, ...Object.values(dimensions)]) {
    const nodes = await fileNodes(source, relation);
    if (nodes === undefined) throw new ConfigurationError(`Table ${relation} does not exist in the source. Create it, or correct the pipeline's definition.`);
    files.set(relation, nodes);
  }
  return files;
}

function said(error: unknown): unknown {
  return error instanceof DatabaseError ? classifyPostgresError('source', error) : error;
}

/** Who waits for the stream's own events waits for a segment at a time. */
const mostRows = 5_000;
/** How long the slot may wait for write transactions of the source that are still running (E17). */
const waitForWritersMs = 300_000;
