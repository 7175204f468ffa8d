import { untilItPasses } from '../connectors/until-it-passes.ts';
import type { Clock } from '../core/clock.ts';
import { killPoint } from '../core/kill-point.ts';
import type { Position } from '../core/position.ts';
import type { Segment } from '../core/segment.ts';

/** The source's tables as they were at one place of its stream (E17). */
export type AllRows = {
  /** Everything below it is in the snapshot, and nothing else. */
  readonly base: Position;
  /** Those read so far, dimensions too. */
  readonly rows: number;
  all(): AsyncIterable<Segment>;
  /** Rejects when it cannot be read any more. */
  readonly lost: Promise<never>;
  close(): Promise<void>;
};

/** A destination whose rows are versioned by position: at the snapshot's they win over older ones, and newer ones over them. */
export type RewrittenSink = {
  /** First of all. */
  begin(base: Position): Promise<void>;
  /** Rows of the snapshot; repeating is harmless. */
  load(rows: Segment): Promise<void>;
  /** What is there from below `base` is gone, and the fence is `base`. Throws, as `load`, if the destination has not everything any more that it was given. */
  finish(base: Position): Promise<void>;
};

export type RewriteLoop = {
  readonly lane: string;
  readonly sink: RewrittenSink;
  readonly take: () => Promise<AllRows>;
  /** Throws when the pipeline is loaded anew or destroyed. */
  readonly assertCurrent: () => Promise<void>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: { readonly phase: string; readonly rows: number }) => void;
};

/**
 * Writes all rows of one destination again, while the stream and every other destination go on. An event is in the snapshot
 * exactly if it was committed below S, and the spool has what follows S, as it keeps what this lane has not got: so a lane
 * that stood, with no fence, or one that the spool does not reach back to, goes on from S as if it had read everything. One
 * that runs meanwhile loses nothing by it: what it writes from below S is older than the snapshot's rows, or gone with the
 * end. An attempt that ends early leaves rows below the next one's S. Returns how many rows were read.
 */
export async function rewriteRows(loop: RewriteLoop): Promise<number> {
  const { lane, sink, assertCurrent, clock, signal, onProgress } = loop;
  const end = new AbortController();
  const asked = () => end.abort(signal.reason);
  signal.addEventListener('abort', asked, { once: true });
  if (signal.aborted) asked();
  onProgress({ phase: 'waiting for running write transactions of the source', rows: 0 });
  const snapshot = await loop.take();
  // what was read must not be used any more: the source may have been promoted without what it had
  snapshot.lost.catch((error: unknown) => end.abort(error));
  const passes = async (work: () => Promise<void>) => {
    end.signal.throwIfAborted();
    await assertCurrent();
    await untilItPasses({ clock, signal: end.signal, assertCurrent }, work);
  };
  try {
    const { base } = snapshot;
    await passes(() => sink.begin(base));
    for await (const rows of snapshot.all()) {
      await passes(() => sink.load(rows));
      killPoint('load/chunk', lane);
      onProgress({ phase: 'writing', rows: snapshot.rows });
    }
    onProgress({ phase: 'finishing', rows: snapshot.rows });
    await passes(() => sink.finish(base));
    return snapshot.rows;
  } catch (error) {
    throw end.signal.aborted ? end.signal.reason : error;
  } finally {
    signal.removeEventListener('abort', asked);
    await snapshot.close();
  }
}
