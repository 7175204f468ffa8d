import { StreamDiverged } from '../../core/capture/assembler.ts';
import type { DimensionStore } from '../../core/capture/dimension-store.ts';
import type { Clock } from '../../core/clock.ts';
import { loadAnew } from '../../core/load-anew.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { SegmentHeader } from '../../core/segment.ts';
import { ConfigurationError } from '../sink.ts';
import type { Appender, SegmentLog } from '../spool/segment-log.ts';
import type { ColumnRecord } from './column-watch.ts';
import { classifyPostgresError } from './errors.ts';
import { RunningCapture, type Step } from './running-capture.ts';
import type { Confirmed, ShardState } from './shard-state.ts';
import type { Source } from './source.ts';
import { StreamCheck } from './stream-check.ts';
import type { UndecidedLog } from './undecided-log.ts';

export type CaptureOptions = {
  readonly pipeline: Pipeline;
  readonly log: SegmentLog & Appender;
  readonly connect: () => Promise<Source>;
  readonly clock: Clock;
  readonly captureId: string;
  readonly shard: Pick<ShardState, 'epoch' | 'systemIdentifier'>;
  /** What is on record as confirmed, read anew. */
  readonly readConfirmed: () => Promise<Confirmed | undefined>;
  /** Keeps on record what the source is about to be told it may forget. */
  readonly recordConfirmed: (confirmed: Confirmed) => Promise<void>;
  /** Where the stream goes on: the spool's tail; the smallest fence when the spool was lost; the end of a later load. */
  readonly start: Position;
  /** The segment that the chain goes on behind; undefined: it begins. If that is not the tail any more, the capture fails. */
  readonly after: SegmentHeader | undefined;
  /** What the log has is given up first, once it is sure that the source has all that follows `start`. */
  readonly startsOver?: boolean;
  /** The greatest position that the spool or any sink has. */
  readonly reached: Position;
  /** Every dimension's rows as of a place in the stream (E16). */
  readonly dimensionsAt: (position: Position) => Promise<ReadonlyMap<string, DimensionStore>>;
  /** Fences of all lanes that read segments; undefined: not known yet. */
  readonly fences: () => ReadonlyMap<string, Position | undefined>;
  /** When an event came last, as an earlier capture of this process has told; undefined: not known. */
  readonly lastEventMs?: number | undefined;
  readonly columns: ColumnRecord;
  /** What was kept of the stream behind the spool's tail while nobody had decided how it is to be read: it is read first. */
  readonly undecided?: UndecidedLog | undefined;
  /** Ends the capture at the next segment boundary. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: CaptureProgress) => void;
  /** Takes what stands since this process's last step: this one goes on with it if nothing has come between them, and ends it if not. */
  readonly take?: (() => RunningCapture | undefined) | undefined;
  /** Gets the capture, which stands, when it was asked to end; else it is ended. */
  readonly leave?: ((capture: RunningCapture) => void) | undefined;
};

export type CaptureProgress = {
  readonly events: number;
  readonly segments: number;
  readonly position: Position;
  /** WAL bytes between what the source has written and what it may forget. */
  readonly slotLagBytes: number;
  readonly spoolBytes: number;
  /** What it may have: spoolBudget, or less if its disk has less room. */
  readonly spoolBudgetBytes: number;
  /** Commit time of the newest spooled transaction, microseconds since 1970. */
  readonly commitTimeUs: number;
  /** By a clock that does not jump: when an event was spooled last. */
  readonly lastEventMs: number;
};

export type CaptureResult = {
  readonly events: number;
  readonly segments: number;
  readonly position: Position;
  /**
   * superseded: another capture has claimed the shard (E3); this one must not run again as itself. changed: what follows has
   * other columns, and a migration must say what becomes of them.
   */
  readonly reason: 'stopped' | 'superseded' | 'changed';
  /** The number of that change. */
  readonly change?: number;
};

/**
 * Tails the pipeline's replication slot into the spool until the signal aborts or another capture takes over. Throws
 * ConfigurationError for what a person must mend, and the connection's error for everything that another attempt may.
 */
export async function capture(options: CaptureOptions): Promise<CaptureResult> {
  try {
    const source = await options.connect();
    try {
      const catalog = await source.catalog();
      const check = new StreamCheck(options, source, catalog);
      const step: Step = { options, source, catalog, check, timeline: await check.begin() };
      const standing = options.take?.();
      if (standing) {
        const result = await run(standing, step, () => standing.goOn(step));
        if (result) return result;
      }
      const fresh = new RunningCapture(options);
      return (await run(fresh, step, () => fresh.begin(step))) ?? fresh.result('superseded');
    } finally {
      await source.close();
    }
  } catch (error) {
    throw explain(error, options.pipeline.name);
  }
}

/** Undefined: it could not begin. */
async function run(each: RunningCapture, step: Step, begin: () => Promise<boolean>): Promise<CaptureResult | undefined> {
  const { leave } = step.options;
  let result: CaptureResult | undefined;
  try {
    return (result = (await begin()) ? await each.step(step) : undefined);
  } finally {
    if (leave && result?.reason === 'stopped') leave(each);
    else await each.close();
  }
}

/** The sentence for what a person must mend. */
export function explain(error: unknown, pipeline: string): unknown {
  if (error instanceof StreamDiverged) {
    return new ConfigurationError(`The source of pipeline ${pipeline} is not the one its spool was written from: ${error.message}. Was it restored or failed over? ${loadAnew(pipeline)}`);
  }
  return classifyPostgresError(`source of pipeline ${pipeline}`, error);
}

