import type { AggregateSink } from '../connectors/aggregate/aggregate-sink.ts';
import { estimateRange, scansWithoutIndex } from '../connectors/postgres/backfill-estimate.ts';
import { leave } from '../connectors/postgres/leave.ts';
import { withSource } from '../connectors/postgres/with-source.ts';
import { compareNow } from '../connectors/reconciliation/compare-now.ts';
import { compareRange } from '../connectors/reconciliation/compare-range.ts';
import { insisting, statementMs, type Place } from '../connectors/reconciliation/place.ts';
import { NotComparable } from '../connectors/verification/not-comparable.ts';
import type { Addresses } from '../connectors/verification/verify-pipeline.ts';
import { openWorkingDatabase } from '../connectors/verification/working-database.ts';
import { rangeText } from '../core/backfill.ts';
import { BadInput } from '../core/bad-input.ts';
import { pause, type Clock } from '../core/clock.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { bothCompared, rangeLengthMs, type Compared } from '../core/reconcile.ts';
import type { PaneRange } from '../core/views/fold.ts';
import { firstChunk, isOpen, nextLength } from '../core/views/rebuilding.ts';

/** How far one is. */
export type Reconciled = {
  /** Of what it was to compare. */
  readonly left: readonly PaneRange[];
  readonly compared: readonly Compared[];
  readonly rows: number;
  /** What shows only the present was compared, or need not be. */
  readonly isNowDone: boolean;
  /** Why it cannot go on. */
  readonly problem: string | null;
};

export type ReconcileLoop = {
  readonly pipeline: Pipeline;
  readonly addresses: Addresses;
  readonly panes: Pick<AggregateSink, 'readFence' | 'markCompared' | 'endCompared'>;
  /** Under which panes are marked: of this workflow only. */
  readonly name: string;
  readonly from: Reconciled;
  /** About so many rows are read in one transaction of the source. */
  readonly chunkRows: number;
  /** At most so many a second; undefined: as fast as it goes. */
  readonly rowsPerSecond: number | undefined;
  readonly durationMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Reconciled, phase: string) => void;
};

/** Compares one chunk after another, and then what shows only the present, until it is done or its time is over. */
export async function runReconcile(loop: ReconcileLoop): Promise<Reconciled> {
  const { pipeline, addresses, panes, name, clock, signal } = loop;
  const database = await openWorkingDatabase(addresses.stateUrl, `sluice ${pipeline.name} reconcile`, statementMs);
  let progress = loop.from;
  const tell = (phase: string) => loop.onProgress(progress, phase);
  const place: Place = { database, pipeline, addresses, panes, name, unavailable: new Map(), clock, signal, onPhase: tell };
  try {
    for (const untilMs = clock.steady() + loop.durationMs; progress.left.length > 0 && clock.steady() < untilMs; ) {
      const [range, ...others] = progress.left;
      for await (const { left, compared, rows } of chunks(loop, place, range!, progress)) {
        progress = { ...progress, left: isOpen(left) ? [left, ...others] : others, compared, rows: progress.rows + rows };
        tell('comparing');
        if (clock.steady() >= untilMs) break;
      }
    }
    // however much is left
    if (!progress.isNowDone) {
      tell('comparing what shows the present');
      progress = { ...progress, compared: bothCompared(progress.compared, await compareNow(place, progress.compared)), isNowDone: true };
    }
    return progress;
  } catch (error) {
    if (signal.aborted || !(error instanceof NotComparable)) throw error;
    return { ...progress, problem: error.message };
  } finally {
    // of a worker that dies here, the next mark takes the place, or the workflow's end
    await panes.endCompared(name).catch(() => {});
    await leave(database);
  }
}

type Chunk = { readonly left: PaneRange; readonly compared: readonly Compared[]; readonly rows: number };

/** Of one range. */
async function* chunks(loop: ReconcileLoop, place: Place, range: PaneRange, before: Reconciled): AsyncGenerator<Chunk> {
  const { pipeline, addresses, chunkRows, clock, signal } = loop;
  const { rows: expected, hasIndex } = await withSource(addresses.sourceUrl, `sluice ${pipeline.name} reconcile`, (source) => estimateRange(source, pipeline, range));
  const allMs = range.toMs - range.fromMs;
  const wantedMs = (allMs * chunkRows) / Math.max(1, expected);
  // what is expected may be far from what there is; without an index each chunk reads the whole table
  const first = hasIndex ? Math.min(allMs / 4, wantedMs) : Math.max(allMs / scansWithoutIndex, wantedMs);
  const whole = [{ paneMs: rangeLengthMs(pipeline) }];
  let { compared } = before;
  for (let [left, lengthMs] = [range, first]; isOpen(left); ) {
    const startedMs = clock.steady();
    const chunk = firstChunk(left, whole, lengthMs);
    left = { ...left, fromMs: chunk.toMs };
    const found = await comparedIn(place, chunk, compared);
    compared = bothCompared(compared, found.compared);
    yield { left, compared, rows: found.rows };
    if (hasIndex) lengthMs = nextLength(chunk.toMs - chunk.fromMs, found.rows, chunkRows);
    const owedMs = loop.rowsPerSecond === undefined ? 0 : (found.rows * 1000) / loop.rowsPerSecond - (clock.steady() - startedMs);
    if (owedMs > 0) await pause(clock, owedMs, signal);
    signal.throwIfAborted();
  }
}

/** What a backfill computes is not compared; that is no failure. */
async function comparedIn(place: Place, chunk: PaneRange, found: readonly Compared[]): Promise<{ readonly compared: readonly Compared[]; readonly rows: number }> {
  try {
    return await insisting(place, () => compareRange(place, chunk, found));
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    const problem = `${rangeText(chunk.fromMs, chunk.toMs)} was not compared: ${error.message}`;
    return { compared: [{ sink: 'aggregate', what: 'windows', windows: 0, different: 0, differing: [], differences: [], mend: { tag: 'none' }, problem }], rows: 0 };
  }
}
