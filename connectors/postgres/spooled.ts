import type { Lsn, Position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import type { CaptureProgress, CaptureResult } from './capture.ts';

/** What a capture has spooled: up to where, and how much in its step. */
export class Spooled {
  position: Position;
  lastEventMs: number;
  #events = 0;
  #segments = 0;
  #commitTimeUs = 0;
  readonly #endLsns = new Map<number, Lsn>();

  constructor(position: Position, lastEventMs: number) {
    this.position = position;
    this.lastEventMs = lastEventMs;
  }

  /** A step begins. */
  begin(): void {
    [this.#events, this.#segments] = [0, 0];
  }

  /** On its way there. `endLsn`: up to where the WAL has nothing then that is not in the spool; undefined: a transaction goes on. */
  cut(seq: number, endLsn: Lsn | undefined): void {
    if (endLsn !== undefined) this.#endLsns.set(seq, endLsn);
  }

  /** It is there. Returns what `cut` was told. */
  appended({ header, batches, truncates, transactions }: Segment, nowMs: number): Lsn | undefined {
    if (batches.length + truncates.length > 0) this.lastEventMs = nowMs;
    this.#segments++;
    for (const batch of batches) this.#events += batch.image === 'after' ? batch.rows : batch.operations.reduce((count, operation) => count + (operation === 3 ? 1 : 0), 0);
    this.position = header.to;
    if (transactions.count > 0) this.#commitTimeUs = transactions.commitTimes[transactions.count - 1]!;
    const endLsn = this.#endLsns.get(header.seq);
    this.#endLsns.delete(header.seq);
    return endLsn;
  }

  get progress(): Pick<CaptureProgress, 'events' | 'segments' | 'position' | 'commitTimeUs' | 'lastEventMs'> {
    return { events: this.#events, segments: this.#segments, position: this.position, commitTimeUs: this.#commitTimeUs, lastEventMs: this.lastEventMs };
  }

  result(reason: CaptureResult['reason']): CaptureResult {
    return { events: this.#events, segments: this.#segments, position: this.position, reason };
  }
}
