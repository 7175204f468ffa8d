import { randomBytes } from 'node:crypto';
import { Client, DatabaseError } from 'pg';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { position, type Position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { emitCanary } from './canary.ts';
import { classifyPostgresError } from './errors.ts';
import { keptAlive } from './keep-alive.ts';
import { leave } from './leave.ts';
import { textSettings } from './replication-stream.ts';
import { assertNotSetBack, assertSameSource } from './same-stream.ts';
import type { ShardState } from './shard-state.ts';
import { SnapshotReader, sourceClockUs } from './snapshot-reader.ts';
import { createSnapshotSlot, type SnapshotSlot } from './snapshot-slot.ts';
import { readSourceCatalog } from './source-catalog.ts';
import { leafFiles, wholeTables } from './whole-tables.ts';

export type WholeSource = {
  readonly pipeline: Pipeline;
  readonly sourceUrl: string;
  readonly shard: Pick<ShardState, 'epoch' | 'systemIdentifier'>;
  /** The end of the spool, from before this begins; undefined: it is empty. */
  readonly reached: Position | undefined;
  readonly known: SourceColumns | undefined;
  readonly signal: AbortSignal;
};

/** All rows of the source at a temporary slot's consistent point, in the stream that goes on (E17). */
export class WholeSnapshot {
  readonly base: Position;
  readonly #options: WholeSource;
  readonly #source: Client;
  readonly #slot: SnapshotSlot;
  readonly #reader: SnapshotReader;

  /** Waits for the source's running write transactions, at most five minutes. */
  static async take(options: WholeSource): Promise<WholeSnapshot> {
    const { pipeline, sourceUrl, shard: { epoch }, known, signal } = options;
    const source = new Client({ connectionString: sourceUrl, application_name: `sluice ${pipeline.name} rewrite`, connectionTimeoutMillis: 10_000, ...keptAlive, options: `${textSettings} -c lock_timeout=10s -c idle_in_transaction_session_timeout=${patienceMs} -c tcp_user_timeout=${patienceMs}` });
    source.on('error', () => {});
    let slot: SnapshotSlot | undefined;
    try {
      await source.connect();
      assertSameSource(pipeline.name, options.shard, await readSourceCatalog(source, pipeline));
      const files = await leafFiles(source, pipeline);
      // by this name a destroy finds it
      slot = await createSnapshotSlot({ url: sourceUrl, slot: `sluice_backfill_${randomBytes(6).toString('hex')}`, temporary: true, applicationName: `sluice ${pipeline.name} backfill snapshot`, signal, timeoutMs: waitForWritersMs });
      if (options.reached !== undefined) assertNotSetBack(pipeline.name, options.reached, slot.consistentPoint);
      // the lane comes to that place with what follows it, which on a quiet source may take long
      await emitCanary(source, pipeline.name);
      const reader = new SnapshotReader({ pipeline, epoch, source, slot, files, known, commitTimeUs: await sourceClockUs(source), captureId: 'rewrite', signal });
      return new WholeSnapshot(options, source, slot, reader);
    } catch (error) {
      await slot?.close();
      await leave(source);
      throw said(error);
    }
  }

  private constructor(options: WholeSource, source: Client, slot: SnapshotSlot, reader: SnapshotReader) {
    this.#options = options;
    this.#source = source;
    this.#slot = slot;
    this.#reader = reader;
    this.base = position(options.shard.epoch, slot.consistentPoint, 0);
  }

  get rows(): number {
    return this.#reader.rows;
  }

  get lost(): Promise<never> {
    return this.#slot.lost;
  }

  async *all(): AsyncGenerator<Segment> {
    const { pipeline, signal } = this.#options;
    try {
      yield* wholeTables({ pipeline, source: this.#source, reader: this.#reader, signal });
    } catch (error) {
      throw said(error);
    }
  }

  async close(): Promise<void> {
    await this.#slot.close();
    await leave(this.#source);
  }
}

function said(error: unknown): unknown {
  return error instanceof DatabaseError ? classifyPostgresError('source', error) : error;
}

/** A reader that stands still for longer loses its connection, so that its lock does not hold up whoever alters the table. */
const patienceMs = 120_000;
/** How long the slot may wait for write transactions of the source that are still running (E17). */
const waitForWritersMs = 300_000;
