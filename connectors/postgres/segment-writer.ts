import type { Segment } from '../../core/segment.ts';
import type { Appender, SegmentLog } from '../spool/segment-log.ts';

/**
 * The one ordered way from a capture into its spool: what queued while an append was under way goes into the next one
 * together (group sync). Two appends are never under way at once: completing out of order would lose the late one
 * (LIMITS.md, 6).
 */
export class SegmentWriter {
  readonly #log: SegmentLog & Appender;
  readonly #options: SegmentWriterOptions;
  #queue: Segment[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(log: SegmentLog & Appender, options: SegmentWriterOptions) {
    this.#log = log;
    this.#options = options;
  }

  /** It takes nothing any more. */
  get stopped(): boolean {
    return this.#stopped;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  push(segment: Segment): void {
    if (this.#stopped) return;
    this.#queue.push(segment);
    this.#queuedBytes += segment.bytes.length;
    this.#running ??= this.#run();
  }

  /** Resolves when everything that was pushed is durable, or the writer has stopped. */
  async drained(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0 && !this.#stopped) {
        const group = this.#queue.splice(0, groupSegments);
        const outcome = await this.#log.append(group);
        for (const { bytes } of group) this.#queuedBytes -= bytes.length;
        if (outcome === 'lost') {
          this.#stop();
          this.#options.onLost();
        } else {
          this.#options.onAppended(group);
          this.#log.release(group);
        }
      }
    } catch (error) {
      this.#stop();
      this.#options.onError(error);
    } finally {
      this.#running = undefined;
    }
  }

  #stop(): void {
    this.#stopped = true;
    this.#queue = [];
  }
}

export type SegmentWriterOptions = {
  readonly onAppended: (segments: readonly Segment[]) => void;
  readonly onLost: () => void;
  readonly onError: (error: unknown) => void;
};

const groupSegments = 8;
