import type { AggregateSink } from '../connectors/aggregate/aggregate-sink.ts';
import type { Rebuilt, Replaced } from '../connectors/aggregate/rebuild.ts';
import { TableRewritten } from '../connectors/postgres/snapshot-reader.ts';
import { ConfigurationError, type Sink } from '../connectors/sink.ts';
import { poisonIfTooLarge } from '../connectors/sum-poison.ts';
import { restsAtSpeed, waitsForLane, type LoadMark } from '../core/backfill.ts';
import { pause, type Clock } from '../core/clock.ts';
import { killPoint } from '../core/kill-point.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { parsePosition, position, type Position } from '../core/position.ts';
import type { Segment } from '../core/segment.ts';
import type { PaneRange } from '../core/views/fold.ts';
import { paneSetsOf } from '../core/views/pane-sets.ts';
import { deltasByPane } from '../core/views/panes.ts';
import { firstChunk, isOpen, nextLength, pieceLimits } from '../core/views/rebuilding.ts';
import { SnapshotFold } from '../core/views/snapshot-fold.ts';

/** The source's table as it was at one place of its stream (E17). */
export interface Snapshot {
  /** Everything below it is in the snapshot, and nothing else. */
  readonly base: Position;
  /** How long the first piece is to be. `isEven`: so are all others, for reading any costs as much as reading all. */
  readonly lengthMs: number;
  readonly isEven: boolean;
  /** Those read so far, dimensions too. */
  readonly rows: number;
  /** Rows that have an event time in a range, in one short transaction (E19). Throws TableRewritten. */
  read(range: PaneRange): AsyncIterable<Segment>;
  /** Rejects when it cannot be read any more. */
  readonly lost: Promise<never>;
  close(): Promise<void>;
}

/** A destination whose rows are versioned by position: at the snapshot's they win over older ones, and newer ones over them. */
export type RangeSink = Pick<Sink, 'readFence'> & {
  /** Rows of a snapshot; repeating is harmless. */
  load(rows: Segment): Promise<void>;
  /** All rows of a range were loaded. */
  loaded(mark: LoadMark): Promise<void>;
  /** After that, and after the lane has passed `base`: what is there besides is gone. False: it was set back meanwhile, and is to be loaded again. */
  finish(range: PaneRange, base: Position, mark: LoadMark): Promise<boolean>;
};

export type BackfillLoop = {
  readonly pipeline: Pipeline;
  /** Under which its panes are marked: nobody else's, and the same in each attempt. */
  readonly name: string;
  /** None: only rows. */
  readonly views: readonly string[];
  /** Destinations whose rows of that time are written anew, by lane. */
  readonly rows: ReadonlyMap<string, RangeSink>;
  readonly asked: PaneRange;
  /** It gives way to one that somebody asks for. */
  readonly yields?: boolean;
  /** About so many rows are read in one transaction of the source. */
  readonly chunkRows: number;
  /** At most so many a second; undefined: as fast as it goes. */
  readonly rowsPerSecond: number | undefined;
  readonly panes: Pick<AggregateSink, 'readFence' | 'markRebuild' | 'replacePanes'>;
  /** A snapshot keeps the source from cleaning up behind it: no other chunk is begun after it was there for so long. */
  readonly durationMs: number;
  /** For what is left. */
  readonly take: (left: PaneRange) => Promise<Snapshot>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** `range`: what was left at the beginning of this snapshot; panes before `doneToMs` are done. `rows`: read so far. */
  readonly onProgress: (progress: { readonly phase: string; readonly range: PaneRange; readonly doneToMs: number; readonly rows: number }) => void;
};

/** A lane that was waited for in vain, and where it stands. */
export type StandingLane = { readonly lane: string; readonly sink: Pick<Sink, 'readFence'>; readonly fence: Position };

/**
 * Computes the panes of closed windows anew from the source, while the stream goes on (E17-E19): they are marked, a snapshot is
 * taken, and each chunk of whole panes is read in a short transaction and takes the place of what was there. Nothing but
 * what is marked survives a failure; the next attempt takes another snapshot, for the chunks that are left. Ends when its
 * time is over, too: then something is left for the next step.
 */
export async function runBackfill(loop: BackfillLoop): Promise<{ readonly rows: number; readonly isDone: boolean; readonly standing?: StandingLane }> {
  let rows = 0;
  for (;;) {
    const { panes, name, views, asked, yields, signal, pipeline } = loop;
    // first the mark: a snapshot from before it would lack what nobody has kept
    const left = await panes.markRebuild(name, views, asked, yields);
    if (!isOpen(left)) return { rows, isDone: true };
    const attempt = new Attempt(loop, left, rows);
    const outcome = await attempt.run();
    rows = attempt.rows;
    // not while it has a snapshot
    if (attempt.owedMs > 0) {
      attempt.tellRest();
      await pause(loop.clock, attempt.owedMs, signal);
    }
    if (outcome === 'time') return { rows, isDone: false, ...(attempt.standing && { standing: attempt.standing }) };
    if (outcome === 'gone') throw new ConfigurationError(`Backfill ${name} of ${pipeline.name} is over: it was ended, or gave way to one that somebody asked for; its views are others by now; or the pipeline is being loaded anew, which computes every window. See ./sluice status.`);
    if (signal.aborted) throw signal.reason;
  }
}

/**
 * Without a snapshot, which the source would have to keep. True: it goes on, so another step gets somewhere. False: it has stood
 * for `mostMs`, or the wait was ended.
 */
export async function goesOn({ sink, fence }: StandingLane, { clock, signal, mostMs }: { readonly clock: Clock; readonly signal: AbortSignal; readonly mostMs: number }): Promise<boolean> {
  for (const sinceMs = clock.steady(); !signal.aborted && clock.steady() - sinceMs < mostMs; await pause(clock, standingLookMs, signal)) {
    if ((await sink.readFence()) !== fence) return true;
  }
  return false;
}

/** Of a step's day (`startToCloseTimeout`). Then the workflow rests, so that its history stays short. */
export const mostStandingMs = 12 * 3_600_000;

/** With one snapshot. */
class Attempt {
  readonly #loop: BackfillLoop;
  readonly #left: PaneRange;
  readonly #rowsBefore: number;
  #snapshot: Snapshot | undefined;
  /** It was asked to end, or its snapshot is lost. */
  readonly #end = new AbortController();
  #doneToMs: number;
  /** How often rows were loaded from this snapshot. */
  #loads = 0;
  #takenMs = 0;
  /** So much later would it have read what it has, at the speed that is asked for. */
  owedMs = 0;
  standing: StandingLane | undefined;

  constructor(loop: BackfillLoop, left: PaneRange, rowsBefore: number) {
    this.#loop = loop;
    this.#left = left;
    this.#rowsBefore = rowsBefore;
    this.#doneToMs = left.fromMs;
    const { signal } = loop;
    const asked = () => this.#end.abort(signal.reason);
    signal.addEventListener('abort', asked, { once: true });
    if (signal.aborted) asked();
  }

  get rows(): number {
    return this.#rowsBefore + (this.#snapshot?.rows ?? 0);
  }

  /** What it owes it waits for now. */
  tellRest(): void {
    this.#tell(restsAtSpeed(this.#loop.rowsPerSecond!));
  }

  /** done: nothing is left, or another snapshot is needed for the rest. */
  async run(): Promise<Ended> {
    const { panes, take, pipeline } = this.#loop;
    this.#tell('waiting for running write transactions of the source');
    const fence = await panes.readFence();
    const snapshot = (this.#snapshot = await take(this.#left));
    // what was read must not be used any more: the source may have been promoted without what it had
    snapshot.lost.catch((error: unknown) => this.#end.abort(error));
    try {
      // loaded anew meanwhile
      if (fence !== undefined && parsePosition(fence).epoch !== parsePosition(snapshot.base).epoch) return 'gone';
      if (fence !== undefined && snapshot.base < fence) throw new ConfigurationError(`The source of ${pipeline.name} is at ${snapshot.base}, before ${fence}, which was applied already: it was put back to an earlier time, and a backfill would take what it has lost for deleted. See ./sluice status.`);
      return await this.#read(snapshot);
    } catch (error) {
      if (error instanceof TableRewritten) return 'done';
      if (error instanceof LaneBehind) {
        this.standing = error.standing;
        return 'time';
      }
      throw this.#end.signal.aborted ? this.#end.signal.reason : error;
    } finally {
      await snapshot.close();
    }
  }

  async #read(snapshot: Snapshot): Promise<Ended> {
    const { pipeline, views, rows: rowSinks, chunkRows, clock, durationMs } = this.#loop;
    const { base, isEven } = snapshot;
    this.#takenMs = clock.steady();
    // before anything is read or loaded: a lane that stands still would have it done in vain
    for (const [lane, sink] of [['aggregate', this.#loop.panes] as const, ...rowSinks]) await this.#passed(lane, sink, base);
    const sets = paneSetsOf(pipeline).filter((set) => set.views.some(({ name }) => views.includes(name)));
    const fold = new SnapshotFold(pipeline, sets);
    let { lengthMs } = snapshot;
    const { shortestMs, longestMs, emptyMs } = pieceLimits(sets);
    let pieceMs = 2 * shortestMs;
    for (let left = this.#left; isOpen(left); ) {
      const range = firstChunk(left, sets, lengthMs);
      const startedMs = clock.steady();
      const rowsBefore = snapshot.rows;
      this.#tell('reading');
      do {
        fold.clear();
        let busySince = clock.steady();
        for await (const rows of snapshot.read(range)) {
          fold.add(rows);
          await this.#rest(busySince);
          for (const sink of rowSinks.values()) {
            busySince = clock.steady();
            await sink.load(rows);
            await this.#rest(busySince);
          }
          busySince = clock.steady();
        }
      } while (!(await this.#finished(range, base)));
      const folded = [...poisonIfTooLarge(() => fold.take())];
      const panesOf = folded.map(([set, deltas]) => [set, deltasByPane(deltas)] as const);
      const present = [...new Set(folded.flatMap(([, { panes, count }]) => [...panes.subarray(0, count)]))].sort((a, b) => b - a);
      for (let unplaced = range; isOpen(unplaced); ) {
        while (present.at(-1)! < unplaced.fromMs) present.pop();
        const emptyToMs = Math.min(present.at(-1) ?? Number.POSITIVE_INFINITY, unplaced.fromMs + emptyMs);
        const isEmpty = emptyToMs >= unplaced.fromMs + pieceMs;
        const piece = firstChunk(unplaced, sets, isEmpty ? emptyToMs - unplaced.fromMs : pieceMs);
        const busySince = clock.steady();
        let turnMs = busySince;
        const outcome = await this.#replace({ range: piece, base, panes: new Map(panesOf.map(([set, within]) => [set, within(piece)])) }, () => (turnMs = clock.steady()));
        killPoint('backfill/chunk');
        if (outcome === 'gone') return 'gone';
        // the table was emptied since: another snapshot shows that
        if (outcome === 'void') return 'done';
        this.#doneToMs = piece.toMs;
        this.#tell('reading');
        // shorter ones would wait for the lane as often again
        if (!isEmpty) pieceMs = Math.min(longestMs, Math.max(shortestMs, nextLength(piece.toMs - piece.fromMs, clock.steady() - turnMs, pieceWorkMs)));
        unplaced = { ...unplaced, fromMs: piece.toMs };
        await this.#rest(busySince);
      }
      left = { ...left, fromMs: range.toMs };
      const read = snapshot.rows - rowsBefore;
      if (!isEven) lengthMs = nextLength(range.toMs - range.fromMs, read, chunkRows);
      const owedMs = this.#owed(read, startedMs);
      if (isOpen(left) && clock.steady() - this.#takenMs + owedMs >= durationMs) {
        this.owedMs = owedMs;
        return 'time';
      }
      if (isOpen(left) && owedMs > 0) this.tellRest();
      await this.#pause(isOpen(left) ? owedMs : 0);
    }
    return 'done';
  }

  /** False: a destination was set back to before it had the rows. */
  async #finished(range: PaneRange, base: Position): Promise<boolean> {
    const { epoch, lsn } = parsePosition(base);
    const { rows, name } = this.#loop;
    const mark: LoadMark = { backfill: name, at: position(epoch, lsn, ++this.#loads) };
    for (const sink of rows.values()) await sink.loaded(mark);
    for (const [lane, sink] of rows) {
      await this.#passed(lane, sink, base);
      this.#end.signal.throwIfAborted();
      if (!(await sink.finish(range, base, mark))) return false;
    }
    return true;
  }

  async #replace(chunk: Rebuilt, onTurn: () => void): Promise<Replaced> {
    const { panes, name, clock } = this.#loop;
    for (const sinceMs = clock.steady(); ; await this.#pause(lookMs)) {
      this.#end.signal.throwIfAborted();
      const outcome = await panes.replacePanes(name, chunk, onTurn);
      if (outcome !== 'behind') return outcome;
      if (clock.steady() - sinceMs > standsMs) throw new LaneBehind();
      this.#tell('waiting for a comparison of the pipeline to end');
    }
  }

  /** A lane has applied everything that is in the snapshot. One that is paused may not for days. */
  async #passed(lane: string, sink: Pick<Sink, 'readFence'>, base: Position): Promise<void> {
    const { clock, durationMs } = this.#loop;
    let [seen, movedMs]: [Position | undefined, number] = [undefined, clock.steady()];
    for (;;) {
      const fence = await sink.readFence();
      if (fence === undefined || fence >= base) return;
      const nowMs = clock.steady();
      if (fence !== seen) [seen, movedMs] = [fence, nowMs];
      if (nowMs - movedMs > standsMs) throw new LaneBehind({ lane, sink, fence });
      if (nowMs - this.#takenMs > Math.max(durationMs, standsMs)) throw new LaneBehind();
      this.#tell(waitsForLane(lane));
      await this.#pause(lookMs);
    }
  }

  #owed(rows: number, startedMs: number): number {
    const { rowsPerSecond, clock } = this.#loop;
    return rowsPerSecond === undefined ? 0 : Math.max(0, (rows * 1000) / rowsPerSecond - (clock.steady() - startedMs));
  }

  /** For half as long again as it was busy: lanes are served by the same machine, and their events have just happened. */
  #rest(busySinceMs: number): Promise<void> {
    return this.#pause(Math.min(1.5 * (this.#loop.clock.steady() - busySinceMs), mostRestMs));
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#end;
    if (ms > 0) await pause(this.#loop.clock, ms, signal);
    signal.throwIfAborted();
  }

  #tell(phase: string): void {
    this.#loop.onProgress({ phase, range: this.#left, doneToMs: this.#doneToMs, rows: this.rows });
  }
}

type Ended = Extract<Replaced, 'done' | 'gone'> | 'time';

/** Or a comparison holds it. Its step ends, so that the source need not keep the snapshot until then. */
class LaneBehind extends Error {
  readonly standing: StandingLane | undefined;

  constructor(standing?: StandingLane) {
    super('a lane is behind');
    this.standing = standing;
  }
}

const lookMs = 50;
const standingLookMs = 1_000;
/** Of a transaction that takes the lane's place. */
const pieceWorkMs = 50;
/** A transaction of the source is open meanwhile. */
const mostRestMs = 500;
/** A lane that does not move for so long is paused, or its destination is away. */
const standsMs = 60_000;
