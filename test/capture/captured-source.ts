import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { DimensionStore } from '../../core/capture/dimension-store.ts';
import { resolve } from '../../core/define/resolve.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { parsePosition, type Position } from '../../core/position.ts';
import { type ColumnRecord, noRecord } from '../../connectors/postgres/column-watch.ts';
import { capture, type CaptureOptions, type CaptureProgress, type CaptureResult } from '../../connectors/postgres/capture.ts';
import { firstLoad } from '../../connectors/postgres/first-load.ts';
import { connectSource } from '../../connectors/postgres/postgres-source.ts';
import type { SourceCatalog } from '../../connectors/postgres/source-catalog.ts';
import type { Confirmed, TableIds } from '../../connectors/postgres/shard-state.ts';
import { type Between, Standing } from '../../connectors/postgres/standing.ts';
import { spoolUndecided } from '../../connectors/postgres/undecided-capture.ts';
import type { UndecidedLog } from '../../connectors/postgres/undecided-log.ts';
import type { Sink } from '../../connectors/sink.ts';
import { systemFiles, type Files } from '../../connectors/spool/files.ts';
import { type Appender, type SegmentLog } from '../../connectors/spool/segment-log.ts';
import { openSegmentLog } from '../../connectors/spool/open-segment-log.ts';
import { systemClock } from '../../connectors/system-clock.ts';
import definition from '../../pipelines/trending.ts';

/** A source that pipeline `trending` was loaded from, and its spool; its lanes stand where `fence` is. */
export class CapturedSource implements AsyncDisposable {
  pipeline: Pipeline;
  /** What is on record of its tables' columns. */
  columns: ColumnRecord = noRecord;
  source: Client;
  readonly log: SegmentLog & Appender;
  /** What is kept while nobody has decided. */
  readonly undecided: UndecidedLog;
  shard: CaptureOptions['shard'] & { confirmed: Confirmed | undefined };
  fence: Position;
  progress: CaptureProgress | undefined;
  /** How often a capture has told of it. */
  told = 0;
  undecidedProgress: Pick<CaptureProgress, 'slotLagBytes' | 'spoolBytes' | 'spoolBudgetBytes'> | undefined;
  /** Where who keeps the stream finds the source, if by another way than its own address. */
  way: string | undefined;
  /** As an earlier capture would have told. */
  lastEventMs: number | undefined;
  /** What the source's catalogue says otherwise than it does. */
  catalog: Partial<SourceCatalog> = {};
  canaries = 0;
  /** What becomes of one, if not what should. */
  canary: (() => Promise<void>) | undefined;
  /** Captures stand between two calls of `capture`, as between two steps. */
  stands = false;
  readonly #standing = new Standing(systemClock);
  readonly #url: string;
  readonly #directory: string;
  readonly #tables: TableIds;
  #loadedAt: Position;

  static async load(url: string, settings: Partial<Pipeline['settings']> = {}, files: Files = systemFiles): Promise<CapturedSource> {
    const resolved = resolve(definition, {});
    const pipeline: Pipeline = { ...resolved, settings: { ...resolved.settings, ...settings } };
    const source = await connected(url);
    await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    const loaded = await loadInto(nothing, pipeline, url, 1);
    const directory = await mkdtemp(join(tmpdir(), 'sluice-captured-'));
    const log = await openSegmentLog({ directory, shard: pipeline.name, files });
    return new CapturedSource(url, pipeline, source, { log, undecided: await openSegmentLog({ directory: join(directory, pipeline.name), shard: 'undecided', files }) }, directory, loaded);
  }

  private constructor(url: string, pipeline: Pipeline, source: Client, { log, undecided }: { readonly log: SegmentLog & Appender; readonly undecided: UndecidedLog }, directory: string, { position, systemIdentifier, timeline, tables }: Awaited<ReturnType<typeof firstLoad>>) {
    this.#url = url;
    this.pipeline = pipeline;
    this.source = source;
    this.log = log;
    this.undecided = undecided;
    this.#directory = directory;
    this.#tables = tables;
    this.shard = { epoch: 1, systemIdentifier, confirmed: { lsn: parsePosition(position).lsn, to: position, timeline } };
    this.fence = this.#loadedAt = position;
  }

  /** All lanes have what the capture has told. */
  lanesFollow(): void {
    this.fence = this.progress?.position ?? this.fence;
  }

  /** A later load, though the spool stays; also when the server has stopped meanwhile. */
  async loadAnew(): Promise<void> {
    await this.reconnect();
    const epoch = this.shard.epoch + 1;
    const { position, timeline } = await loadInto(nothing, this.pipeline, this.#url, epoch);
    this.shard = { ...this.shard, epoch, confirmed: { lsn: parsePosition(position).lsn, to: position, timeline } };
    this.fence = this.#loadedAt = position;
  }

  /** Its server was stopped, and is there again. */
  async reconnect(): Promise<void> {
    await this.source.end().catch(() => {});
    this.source = await connected(this.#url);
  }

  /** Runs the capture until `during` has ended; its outcome is the capture's, whichever ends first. */
  async capture(during: () => Promise<void> = () => new Promise(() => {})): Promise<CaptureResult> {
    return this.#standing.step((between) => this.#capture(during, this.stands ? between : {}));
  }

  async #capture(during: () => Promise<void>, between: Between): Promise<CaptureResult> {
    const end = new AbortController();
    const tail = await this.log.tail();
    const start = !tail ? this.fence : tail.to > this.#loadedAt ? tail.to : this.#loadedAt;
    const running = capture({
      pipeline: this.pipeline,
      log: this.log,
      connect: async () => {
        const source = await connectSource(this.#url, this.pipeline, this.#tables);
        return { ...source, catalog: async () => ({ ...(await source.catalog()), ...this.catalog }), emitCanary: () => (this.canaries++, this.canary?.() ?? source.emitCanary()) };
      },
      clock: systemClock,
      captureId: crypto.randomUUID(),
      shard: this.shard,
      columns: this.columns,
      undecided: this.undecided,
      readConfirmed: async () => this.shard.confirmed,
      recordConfirmed: async (confirmed) => void (this.shard = { ...this.shard, confirmed }),
      start,
      after: tail,
      reached: start,
      dimensionsAt: async () => new Map(Object.entries(this.pipeline.source.dimensions).map(([name, table]) => [name, new DimensionStore(table)])),
      fences: () => new Map([['stands still', this.fence]]),
      lastEventMs: this.lastEventMs,
      signal: end.signal,
      onProgress: (progress) => {
        this.progress = progress;
        this.told++;
      },
      ...between,
    });
    await Promise.race([running, during()]).finally(() => end.abort());
    return running;
  }

  /** Keeps what follows the spool's tail as it comes, until `during` has ended. */
  async spoolUndecided(during: () => Promise<void>): Promise<'stopped' | 'superseded'> {
    const end = new AbortController();
    const running = spoolUndecided({
      pipeline: this.pipeline,
      log: this.log,
      undecided: this.undecided,
      connect: () => connectSource(this.way ?? this.#url, this.pipeline, this.#tables),
      clock: systemClock,
      captureId: crypto.randomUUID(),
      shard: this.shard,
      readConfirmed: async () => this.shard.confirmed,
      recordConfirmed: async (confirmed) => void (this.shard = { ...this.shard, confirmed }),
      tail: (await this.log.tail())!.to,
      fences: () => new Map([['stands still', this.fence]]),
      signal: end.signal,
      onProgress: (progress) => (this.undecidedProgress = progress),
    });
    await Promise.race([running, during()]).finally(() => end.abort());
    return running;
  }

  async insert(count: number): Promise<void> {
    await this.source.query('insert into post_views (viewed_at) select now() from generate_series(1, $1::int)', [count]);
  }

  /** Waits until the spool has everything that is committed now. */
  async untilSpooled(timeoutMs?: number): Promise<void> {
    const { rows: [now] } = await this.source.query<{ lsn: string }>("select pg_logical_emit_message(true, 'test', '') - '0/0' as lsn");
    await until(async () => parsePosition((await this.log.tail())?.to ?? this.fence).lsn >= BigInt(now!.lsn), 'the spool has what was committed', timeoutMs);
  }

  /** WAL that has nothing to do with the pipeline. */
  async writeWal(mebibytes: number): Promise<void> {
    for (let written = 0; written < mebibytes; written += 8) await this.source.query("select pg_logical_emit_message(false, 'other', repeat('x', 1 << 20)) from generate_series(1, 8)");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#standing.end();
    await this.source.end().catch(() => {});
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {}); // tests stop servers
  await client.connect();
  return client;
}

const nothing: Sink = { readFence: async () => undefined, apply: async () => ({ events: 0 }), load: async () => {}, finishLoad: async () => {}, close: async () => {} };

function loadInto(sink: Sink, pipeline: Pipeline, url: string, epoch: number): ReturnType<typeof firstLoad> {
  return firstLoad({ pipeline, sourceUrl: url, epoch, sinks: new Map([['none', sink]]), assertCurrent: async () => {}, signal: new AbortController().signal, onProgress: () => {} });
}

export async function until(reached: () => Promise<boolean> | boolean, what: string, timeoutMs = 20_000): Promise<void> {
  for (const startedAt = performance.now(); !(await reached()); ) {
    if (performance.now() - startedAt > timeoutMs) throw new Error(`not within ${timeoutMs / 1000} s: ${what}`);
    await sleep(20);
  }
}
